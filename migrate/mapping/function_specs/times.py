"""Functions that read dates, times and booleans."""

from __future__ import annotations

from datetime import UTC, date, datetime

from migrate.mapping.function_spec import FAILS, FunctionSpec, Parameter

_YEARS_FROM = Parameter(
    "years_from", "integer", "first year of the hundred years that two-digit years mean", default=1969
)
_DATE_PARAMETERS = (
    Parameter(
        "formats",
        "date_formats",
        "formats to try; two that read a value differently make it fail",
        default=(),
    ),
    Parameter(
        "day_first",
        "boolean",
        "instead of formats: yes = D/M/YYYY D.M.YYYY D-M-YYYY, no = M/D/YYYY M.D.YYYY M-D-YYYY; and YYYY-MM-DD",
    ),
    Parameter(
        "excel_serial",
        "choice",
        "a plain number is a day of Excel's calendar that starts in 1900 (with its 29 February 1900) or in 1904",
        choices=("1900", "1904"),
    ),
    Parameter(
        "epoch",
        "choice",
        "a plain number counts from 1970-01-01 UTC",
        choices=("seconds", "milliseconds", "microseconds"),
    ),
    _YEARS_FROM,
)

TIMES = (
    FunctionSpec(
        "date",
        "Reads a date. Without parameters only YYYY-MM-DD. A format with a time reads it and drops it only where it is "
        "midnight; another time fails. A timestamp is passed on as its date on the same condition.",
        _DATE_PARAMETERS,
        "any",
        "date",
        (
            ("2024-02-29", None, date(2024, 2, 29)),
            ("2/3/2024", ("M/D/YYYY",), date(2024, 2, 3)),
            ("03.02.2024", "DD.MM.YYYY", date(2024, 2, 3)),
            ("3 Feb 24", "D MMM YY", date(2024, 2, 3)),
            ("02-03-2024 00:00:00", "MM-DD-YYYY HH:mm:ss", date(2024, 2, 3)),
            ("02-03-2024 10:30:00", "MM-DD-YYYY HH:mm:ss", FAILS),
            ("2/3/2024", ("M/D/YYYY", "D/M/YYYY"), FAILS),
            ("13/3/2024", ("M/D/YYYY", "D/M/YYYY"), date(2024, 3, 13)),
            ("3/3/2024", ("M/D/YYYY", "D/M/YYYY"), date(2024, 3, 3)),
            ("3/2/2024", {"day_first": "yes"}, date(2024, 2, 3)),
            ("3/2/2024", {"day_first": "no"}, date(2024, 3, 2)),
            ("45325", {"excel_serial": "1900"}, date(2024, 2, 3)),
            ("43863", {"excel_serial": "1904"}, date(2024, 2, 3)),
            ("60", {"excel_serial": "1900"}, FAILS),
            ("1706918400", {"epoch": "seconds"}, date(2024, 2, 3)),
            ("30/2/2024", "D/M/YYYY", FAILS),
            ("3/2/24", "D/M/YYYY", FAILS),
            ("1/1/68", {"formats": "D/M/YY"}, date(2068, 1, 1)),
            ("1/1/69", {"formats": "D/M/YY"}, date(1969, 1, 1)),
            ("1/1/68", {"formats": "D/M/YY", "years_from": "1930"}, date(1968, 1, 1)),
            ("", None, None),
        ),
    ),
    FunctionSpec(
        "timestamp",
        "Reads a date with a time. Without parameters ISO 8601 (T or a blank; seconds, fraction and distance from UTC may be "
        "missing, also the time). With `epoch`, `timezone` or a format with Z the result is a moment (timestamptz), where a "
        "value that names no zone is in `timezone`, else in the source's; otherwise it is a plain timestamp. A local time "
        "that the zone skips or has twice fails.",
        (*_DATE_PARAMETERS, Parameter("timezone", "timezone", "the zone of values that name none")),
        "any",
        "timestamp",
        (
            ("2024-02-03T10:30:00", None, datetime(2024, 2, 3, 10, 30)),
            ("2024-02-03 10:30", None, datetime(2024, 2, 3, 10, 30)),
            ("2024-02-03", None, datetime(2024, 2, 3)),
            ("02-03-2024 10:30:15", "MM-DD-YYYY HH:mm:ss", datetime(2024, 2, 3, 10, 30, 15)),
            ("2/3/2024 1:05 PM", "M/D/YYYY h:mm A", datetime(2024, 2, 3, 13, 5)),
            ("2024-02-03 10:30:00.25", "YYYY-MM-DD HH:mm:ss.SSS", datetime(2024, 2, 3, 10, 30, 0, 250000)),
            ("2024-02-03 10:30+02:00", "YYYY-MM-DD HH:mmZ", datetime(2024, 2, 3, 8, 30, tzinfo=UTC)),
            ("2024-07-03 10:30:00", {"timezone": "Europe/London"}, datetime(2024, 7, 3, 9, 30, tzinfo=UTC)),
            ("2024-03-31 01:30:00", {"timezone": "Europe/London"}, FAILS),
            ("1706956200", {"epoch": "seconds"}, datetime(2024, 2, 3, 10, 30, tzinfo=UTC)),
            ("1706956200123", {"epoch": "milliseconds"}, datetime(2024, 2, 3, 10, 30, 0, 123000, tzinfo=UTC)),
            ("45325.4375", {"excel_serial": "1900"}, datetime(2024, 2, 3, 10, 30)),
            ("soon", None, FAILS),
            ("", None, None),
        ),
    ),
    FunctionSpec(
        "boolean",
        "Reads yes and no by lists of words; case does not matter. A list that is given takes the place of its default.",
        (
            Parameter("true", "texts", "words for yes", default=("true", "t", "yes", "y", "1", "on")),
            Parameter("false", "texts", "words for no", default=("false", "f", "no", "n", "0", "off")),
            Parameter(
                "otherwise",
                "choice",
                "any other word: fail, empty (NULL), true or false",
                default="fail",
                choices=("fail", "empty", "true", "false"),
            ),
        ),
        "any",
        "boolean",
        (
            ("Yes", None, True),
            ("0", None, False),
            (1, None, True),
            (True, None, True),
            ("maybe", None, FAILS),
            ("Ja", ("Ja",), True),
            ("Nein", {"true": ("Ja",), "false": ("Nein",)}, False),
            ("x", {"true": ("x",), "otherwise": "false"}, True),
            ("?", {"otherwise": "empty"}, None),
            ("", {"otherwise": "false"}, None),
        ),
    ),
)
