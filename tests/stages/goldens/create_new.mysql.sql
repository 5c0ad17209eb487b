CREATE TABLE accounts (
    id bigint(20) AUTO_INCREMENT NOT NULL,
    name varchar(80) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    legacy_id bigint(20),
    kind varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    PRIMARY KEY (id)
)ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;

CREATE TABLE contacts (
    nr bigint(20) AUTO_INCREMENT NOT NULL,
    name varchar(120) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL,
    given longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    mail longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    account_id bigint(20) NOT NULL,
    boss_id bigint(20),
    born date,
    seen timestamp(6) NULL,
    score double,
    paid decimal(12,2),
    `long` decimal(30,4),
    rounded longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    photo longblob,
    may_call bit(1),
    extra json,
    ref uuid,
    emails json,
    band longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    half double,
    label longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    source longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    source_id bigint(20),
    PRIMARY KEY (nr)
)ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;

CREATE TABLE phones (
    person bigint(20) NOT NULL,
    kind varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    number longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
    `Odd name` bigint(20),
    PRIMARY KEY (person, kind)
)ENGINE=InnoDB CHARSET=utf8mb4 ROW_FORMAT=DYNAMIC;

CREATE UNIQUE INDEX ux_accounts_legacy_id ON accounts (legacy_id);

CREATE UNIQUE INDEX ux_contacts_source_id ON contacts (source_id);

ALTER TABLE contacts ADD CONSTRAINT fk_contacts_account_id FOREIGN KEY(account_id) REFERENCES accounts (id);

ALTER TABLE contacts ADD CONSTRAINT fk_contacts_boss_id FOREIGN KEY(boss_id) REFERENCES contacts (nr);

ALTER TABLE phones ADD CONSTRAINT `fk_phones_Odd name` FOREIGN KEY(`Odd name`) REFERENCES contacts (nr);
