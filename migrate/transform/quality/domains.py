"""What is known of mail domains without asking anybody: large providers, throw-away addresses, misspellings."""

# ruff: noqa: SIM905 - lists of words read better as text

from __future__ import annotations

import functools
from collections.abc import Iterator

# Who gives addresses to everybody. A domain that is one slip away from one of them is taken for misspelt.
PROVIDERS = frozenset(
    "gmail.com googlemail.com outlook.com hotmail.com hotmail.co.uk hotmail.fr hotmail.de hotmail.it hotmail.es live.com "
    "live.co.uk live.nl msn.com yahoo.com yahoo.co.uk yahoo.fr yahoo.de yahoo.it yahoo.es yahoo.ca yahoo.in yahoo.co.in "
    "yahoo.co.jp ymail.com rocketmail.com icloud.com me.com mac.com aol.com aol.co.uk protonmail.com protonmail.ch "
    "proton.me pm.me fastmail.com fastmail.fm zoho.com mail.com email.com gmx.com gmx.net gmx.de gmx.at gmx.ch web.de "
    "t-online.de freenet.de posteo.de mailbox.org tutanota.com orange.fr wanadoo.fr free.fr laposte.net sfr.fr libero.it "
    "virgilio.it alice.it tiscali.it btinternet.com virginmedia.com sky.com talktalk.net ntlworld.com blueyonder.co.uk "
    "comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net earthlink.net optonline.net shaw.ca "
    "rogers.com sympatico.ca bigpond.com bigpond.net.au optusnet.com.au xtra.co.nz qq.com 163.com 126.com sina.com naver.com "
    "hanmail.net daum.net yandex.ru yandex.com mail.ru bk.ru inbox.ru list.ru rambler.ru wp.pl onet.pl o2.pl interia.pl "
    "seznam.cz centrum.cz ziggo.nl kpnmail.nl home.nl planet.nl telenet.be skynet.be bluewin.ch uol.com.br bol.com.br "
    "terra.com.br rediffmail.com".split()
)
# Real domains that are one slip away from a provider.
_REAL = frozenset(
    "gmai.com mail.com email.com ymail.com gmx.com fmail.com bmail.com hotmail.com fotmail.com live.com life.com like.com "
    "alive.com lives.com outlook.de outlook.fr outlook.es outlook.it outlook.in icloud.net cloud.com fastmail.net zoho.eu "
    "mailbox.com proton.com orange.com orange.es yahoo.com.au yahoo.com.br yahoo.com.mx yahoo.gr yahoo.pl yahoo.ro yahoo.se "
    "comcast.com verizon.com charter.com rogers.ca".split()
)
_ENDINGS = {
    "con": "com", "cmo": "com", "ocm": "com", "vom": "com", "xom": "com", "cim": "com", "comm": "com", "coom": "com", "ccom": "com",
    "cpm": "com", "clm": "com", "c0m": "com", "nte": "net", "nett": "net", "ogr": "org", "orgg": "org", "couk": "co.uk",
}  # fmt: skip
DISPOSABLE = frozenset(
    "mailinator.com mailinator.net guerrillamail.com guerrillamail.net guerrillamail.org guerrillamail.biz guerrillamail.de "
    "sharklasers.com grr.la 10minutemail.com 10minutemail.net 20minutemail.com tempmail.com temp-mail.org temp-mail.io tempmail.net "
    "tempmail.dev tempmailo.com tempinbox.com throwawaymail.com throwaway.email trashmail.com trashmail.net trashmail.de trash-mail.com "
    "wegwerfmail.de wegwerfmail.net wegwerfemail.de yopmail.com yopmail.fr yopmail.net getnada.com nada.email dispostable.com "
    "fakeinbox.com fakemail.net fakemailgenerator.com maildrop.cc mailnesia.com mailcatch.com mailnull.com mailexpire.com "
    "mintemail.com moakt.com mohmal.com mytemp.email emailondeck.com discard.email discardmail.com spamgourmet.com spam4.me "
    "spambox.us spamex.com spamfree24.org burnermail.io mailsac.com inboxkitten.com inboxbear.com jetable.org jetable.com "
    "kasmail.com meltmail.com mailtemp.info minuteinbox.com 33mail.com anonbox.net anonymbox.com armyspy.com cuvox.de dayrep.com "
    "einrot.com fleckens.hu gustr.com jourrapide.com rhyta.com superrito.com teleworm.us crazymailing.com deadaddress.com "
    "despammed.com dropmail.me easytrashmail.com emailfake.com emailtemporanea.com filzmail.com haltospam.com harakirimail.com "
    "hidemail.de incognitomail.com mail-temporaire.fr mailforspam.com mailimate.com mailme.lv mailmetrash.com mailmoat.com mail.tm "
    "mailpoof.com mt2015.com nomail.xl.cx nowmymail.com owlymail.com pokemail.net proxymail.eu rcpt.at sneakemail.com "
    "sofort-mail.de soodonims.com tempail.com tempemail.com tempemail.net tempr.email tmail.ws tmpmail.org tmpmail.net "
    "trbvm.com twinmail.de vomoto.com yep.it zoemail.com 1secmail.com 1secmail.org 1secmail.net emailnax.com generator.email "
    "mailbox.in.ua luxusmail.org tmpbox.net internxt.com mail7.io".split()
)
ROLES = frozenset(
    "abuse accounting accounts admin administration administrator all anfrage billing bookings booking buchhaltung buero bureau careers compliance "
    "contact contacts contactus customerservice customercare customersupport dataprotection datenschutz do-not-reply donotreply editor einkauf "
    "enquiries enquiry everyone feedback finance gdpr general hello help helpdesk hi hostmaster hr human.resources info information "
    "inbox inquiries inquiry investors invoice invoices it jobs kontakt legal list mail mailbox mailer-daemon majordomo marketing media "
    "news newsletter no-reply no.reply noc noreply office operations order orders payments payroll personal postmaster presse press privacy "
    "purchasing reception rechnung recruiting recruitment remove reservations root sales secretariat secretary security service "
    "services shop spam staff subscribe support sysadmin tech technical unsubscribe usenet uucp verkauf vertrieb vendas ventas webmaster welcome "
    "www".split()
)
# What is typed where an address must be given and there is none.
NOTHING = frozenset(
    "none no na nil null n nomail noemail no-email no.email no_email nomail no-mail no.mail noaddress nobody noname unknown unbekannt "
    "keine kein inconnu aucun notknown not.known notavailable notprovided not.provided noinfo nothing empty blank missing "
    "x xx xxx xxxx y z a aa aaa aaaa b abc abcd q qq w asd asdf asdfg asdfgh qwe qwer qwert qwerty test tests testing tester test1 test123 "
    "demo dummy fake example sample foo bar temp tbc tba tbd todo delete deleted remove me you someone somebody anybody "
    "email mail e-mail address name first.last firstname.lastname john.doe jane.doe user username".split()
)
# Those of them that are names of subdomains too.
SUBDOMAINS = frozenset("mail email e-mail me demo test sample".split())
RESERVED = r"(?:\A|\.)(?:test|example|invalid|localhost|local|arpa|onion|internal)\z|(?:\A|\.)example\.(?:com|net|org|edu)\z"


@functools.cache
def misspelt() -> dict[str, str]:
    """Domains that are one slip of a provider's: a letter too few, too many, another one, or two that changed places."""
    letters = "abcdefghijklmnopqrstuvwxyz0"
    found: dict[str, str] = {}
    for provider in sorted(PROVIDERS):
        if len(provider.partition(".")[0]) >= 5:
            for slip in _slips(provider, letters):
                found.setdefault(slip, provider)
    for known in PROVIDERS | _REAL | DISPOSABLE:
        found.pop(known, None)
    return found


def _slips(word: str, letters: str) -> Iterator[str]:
    for n in range(len(word)):
        yield word[:n] + word[n + 1 :]
        if n + 1 < len(word):
            yield word[:n] + word[n + 1] + word[n] + word[n + 2 :]
        for letter in letters:
            yield word[:n] + letter + word[n + 1 :]
            yield word[:n] + letter + word[n:]


def ending_meant(domain: str) -> str | None:
    """The domain with the top-level domain that was meant, where the one that is written is none."""
    name, _, ending = domain.rpartition(".")
    return f"{name}.{_ENDINGS[ending]}" if name and ending in _ENDINGS else None


ENDINGS = r"\.(?:" + "|".join(_ENDINGS) + r")\z"
