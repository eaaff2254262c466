"""Mandarin as spoken in Malaysia: its words and its own rules."""

from __future__ import annotations

import re
from functools import cache

from text_normaliser.abbreviations import ShortForms
from text_normaliser.build import build
from text_normaliser.english_short import FIXED, SPELT
from text_normaliser.language import Calendar, Cues, Language
from text_normaliser.mandarin_numbers import NUMBERS
from text_normaliser.mandarin_words import (
    CURRENCIES,
    MARKS,
    MEASURES,
    RATES,
    SCALES,
    SYMBOLS,
    UNITS,
)
from text_normaliser.numbers import NUMBER, WHOLE
from text_normaliser.reader import rule
from text_normaliser.unspaced import UnspacedReader

HAN = r"[\u3400-\u4dbf\u4e00-\u9fff]"
WIDE = rf"(?:{HAN}|[\u3001-\u3011\uff01-\uff1f“”‘’])"
NAMED = (
    "号码|密码|验证码|代码|优惠码|编号|单号|账号|帐号|账户|户口|卡号|车牌|护照|邮编|邮区|订单|房间"
    "|分机|热线|电话|手机|传真|拨打|拨|拨电|致电|按|尾号|末四位|尾数|参考号|号|车牌号|身份证|发票"
    "|包裹|OTP|TAC|PIN|IC"
)
CUES = Cues(
    code=re.compile(rf"(?:{NAMED})(?:号码|号)?(?:[ :：,，#]|是|为|至|到){{0,3}}$"),
    plate=re.compile("车牌|航班|汽车|轿车|摩托"),
    place=re.compile("(?:单位|门牌) ?$"),
    street=re.compile(r"(?:路|街|巷|Jalan|Jln\.?) ?(?:[A-Z]{1,4})?$"),
    date=re.compile(r"(?:于|在|至|到|自|从|截止|日期是|日期为|期限是) ?$"),
    expiry=re.compile("(?!)"),
    year=re.compile("(?!)"),
    time=re.compile(r"(?:上午|下午|早上|晚上|凌晨|中午|傍晚) ?$"),
    key=re.compile("(?:按|拨|输入|或|然后) ?$"),
)
_SEAM = re.compile(rf"(?<={HAN})(?=[A-Za-z0-9$€£¥₹#*+-])|(?<=[A-Za-z0-9%°²³)])(?={HAN})")
_KEPT = re.compile(rf"(?<={WIDE}) (?={WIDE})")
_NARROW = re.compile(rf"(?<={WIDE}) +(?={WIDE})")
_PAUSE = re.compile(rf"(?<={HAN}), (?={HAN})")
_KEPT_SPACE = "\u3000"  # stands for a space within Chinese; cleaned text never has it


def year(number: int) -> str:
    """Return 二零二六."""
    return NUMBERS.each(str(number))


def clock(hour: int, minute: int, half: str) -> str:
    """Return 三点零五分, with 两点 for two o'clock."""
    part = {
        "am": "凌晨" if hour in {12, 0} else "上午",
        "pm": "中午" if hour == 12 else "下午" if hour < 7 else "晚上",
    }
    minutes = f"{'零' if minute < 10 else ''}{NUMBERS.cardinal(str(minute))}分" if minute else ""
    return f"{part.get(half, '')}{NUMBERS.count(str(hour))}点{minutes}"


def date(day: int, month: int, of_year: int | None) -> str:
    """Return 二零二六年十一月十二日."""
    spoken = f"{NUMBERS.cardinal(str(month))}月{NUMBERS.cardinal(str(day))}日"
    return f"{year(of_year)}年{spoken}" if of_year else spoken


MANDARIN = Language(
    numbers=NUMBERS, cues=CUES, currencies=CURRENCIES, scales=SCALES, units=UNITS, rates=RATES,
    symbols=SYMBOLS, marks=MARKS, fractions={"1/2": "二分之一"}, counted=re.compile(""),
    calendar=Calendar(
        months={}, days={}, day_ends="", halves=r"[ap]\.?m\b\.?", year=year, clock=clock, date=date,
        month_first=date, placed=lambda spoken, before, after: spoken,
    ),
    conjunction="", to="到", versus="比", per="每", minus="负", plus="加", number="号码", by="乘",
    times="{}倍", percent="百分之{}", fraction="{1}分之{0}", rating="{1}分之{0}",
)  # fmt: skip
SHORT = ShortForms(
    titles={}, before_number={"No": "", "no": ""}, dotted={}, fixed=FIXED | {"&": "和"},
    spelt=frozenset(SPELT), sentence_starts=frozenset(), numbered=frozenset(),
    regnal_names=frozenset(), bare={},
)  # fmt: skip


def _year_month_day(found: re.Match[str]) -> str:
    month, day = found["month"], found["day"]
    spoken = NUMBERS.each(found["year"]) + "年"
    if month:
        spoken += NUMBERS.cardinal(month) + "月"
    return spoken + NUMBERS.cardinal(day) + found["sign"] if day else spoken


def _hour(found: re.Match[str]) -> str | None:
    """Read 3点30分. In 3点半 only 3点 matches and the rest stays."""
    hour, minute = found["hour"], found["minute"]
    return clock(int(hour), int(minute or 0), "") if int(hour) <= 24 else None


def _yuan(found: re.Match[str]) -> str:
    """Read 12.50元 as 十二元五角 and 12.05元 as 十二元零五分."""
    jiao, fen = (found["cents"] + "0")[:2]
    whole = "" if found["whole"] == "0" else NUMBERS.count(found["whole"]) + found["name"]
    tens = f"{NUMBERS.cardinal(jiao)}角" if jiao != "0" else "零" if whole and fen != "0" else ""
    return whole + tens + (f"{NUMBERS.cardinal(fen)}分" if fen != "0" else "")


def _ringgit(found: re.Match[str]) -> str:
    whole, sen = found["whole"], int((found["cents"] + "0")[:2])
    spoken = "" if whole == "0" else NUMBERS.count(whole) + "令吉"
    return spoken + (f"{NUMBERS.count(str(sen))}仙" if sen else "")


def _counted(found: re.Match[str]) -> str | None:
    """Read 2个 as 两个, but 第2个 as 第二个."""
    if found.string[: found.start()].rstrip().endswith("第"):
        return NUMBERS.cardinal(found["number"])
    return NUMBERS.count(found["number"])


def _between(found: re.Match[str]) -> str:
    return f"{NUMBERS.number(found['low'])}到{NUMBERS.count(found['high'])}"


def _door(found: re.Match[str]) -> str | None:
    return NUMBERS.each(found.group()) if len(found.group()) > 2 else None


OWN = (
    rule("d", r"(?P<year>[12]\d{3}|\d\d(?= ?年 ?\d)) ?年(?: ?(?P<month>1[0-2]|0?[1-9]) ?月"
              r"(?: ?(?P<day>[0-3]?\d) ?(?P<sign>[日号號]))?)?", _year_month_day),
    rule("d", r"(?P<hour>\d{1,2}) ?[点點时時]"
              r"(?: ?(?P<minute>[0-5]?\d)(?: ?分(?!钟)|(?!\d| ?[分%]|[.:/-]\d)))?", _hour),
    rule("d", rf"(?P<whole>{WHOLE})\.(?P<cents>\d\d?)(?!\d) ?(?P<name>元|块)", _yuan),
    rule("d", rf"(?P<whole>{WHOLE})\.(?P<cents>\d\d?)(?!\d) ?(?:令吉|马币)", _ringgit),
    rule("d", rf"(?P<low>{NUMBER}) ?[-–~至] ?(?P<high>{NUMBER})(?= ?{HAN})", _between),
    rule("d", rf"(?P<number>{NUMBER})(?= ?(?:{MEASURES}))", _counted),
    rule("d", r"\d{3,6}(?= ?[号號])", _door),
    rule("s", r"# ?[号號]", lambda _: "井号"),
    rule("s", r"/ ?(?=[月天年日次人小分秒])", lambda _: "每"),
)  # fmt: skip


APART = ((re.compile("～"), "~"), (_KEPT, _KEPT_SPACE), (_SEAM, " "))
JOINED = ((_PAUSE, "，"), (_NARROW, ""), (re.compile(_KEPT_SPACE), " "))


@cache
def reader() -> UnspacedReader:
    """Return the Mandarin reader."""
    return UnspacedReader(build(MANDARIN, SHORT, OWN, ordinal="{}"), APART, JOINED)
