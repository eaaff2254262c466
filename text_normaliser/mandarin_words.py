"""Mandarin words for money, measures and signs in Malaysian use: 令吉, 仙."""

from __future__ import annotations

from text_normaliser.language import Currency, same


def _currency(whole: str, part: str | None = None) -> Currency:
    return Currency(same(whole), same(part) if part else None)


CURRENCIES = {
    **dict.fromkeys(("RM", "MYR", "Rm"), _currency("令吉", "仙")),
    **dict.fromkeys(("¥", "CNY", "RMB"), _currency("元")),
    **dict.fromkeys(("$", "USD", "US$"), _currency("美元")),
    **dict.fromkeys(("S$", "SGD"), _currency("新元")),
    **dict.fromkeys(("HK$", "HKD"), _currency("港元")),
    **dict.fromkeys(("A$", "AUD"), _currency("澳元")),
    **dict.fromkeys(("NT$", "TWD"), _currency("新台币")),
    **dict.fromkeys(("€", "EUR"), _currency("欧元")),
    **dict.fromkeys(("£", "GBP"), _currency("英镑")),
    **dict.fromkeys(("₹", "INR"), _currency("卢比")),
    "JPY": _currency("日元"),
    **dict.fromkeys(("฿", "THB"), _currency("泰铢")),
    **dict.fromkeys(("Rp", "IDR"), _currency("印尼盾")),
}
SCALES = {
    **dict.fromkeys(("k", "K"), "千"),
    **dict.fromkeys(("m", "M", "million"), "百万"),
    **dict.fromkeys(("b", "B", "billion"), "十亿"),
    **{scale: scale for scale in ("百", "千", "万", "亿", "百万", "千万")},
}
_BY_NAME = {
    "公里": ("km", "KM"), "米": ("m",), "厘米": ("cm",), "毫米": ("mm",), "公斤": ("kg", "KG"),
    "克": ("g",), "毫克": ("mg",), "公升": ("l", "L"), "毫升": ("ml", "mL"),
    "平方公里": ("km2", "km²"), "平方米": ("m2", "m²"), "立方米": ("m3", "m³"),
    "平方尺": ("sq ft", "sqft"), "英尺": ("ft",), "磅": ("lb", "lbs"),
    "公里每小时": ("km/h", "kmh"), "米每秒": ("m/s",), "摄氏度": ("°C",), "华氏度": ("°F",),
    "度": ("°",), "兆": ("MB",), "G B": ("GB",), "T B": ("TB",), "兆每秒": ("Mbps",),
    "千瓦时": ("kWh",), "千瓦": ("kW",), "瓦": ("W",), "小时": ("hr", "hrs"),
    "分钟": ("min", "mins"), "秒": ("sec", "secs", "s"), "毫安时": ("mAh",),
}  # fmt: skip
UNITS = {sign: same(name) for name, signs in _BY_NAME.items() for sign in signs}
RATES = {
    "month": "月",
    "day": "天",
    "year": "年",
    "hour": "小时",
    "kg": "公斤",
    "GB": "G B",
    "min": "分钟",
}
# Measure words before which 2 is 两. Not 月, 日, 号, 楼, 年级, whose numbers are ordinal.
MEASURES = (
    "个|位|名|天|周|年(?!级)|小时|分钟|秒|次|遍|本|张|件|条|只|家|间|份|台|辆|杯|瓶|盒|包|箱|袋|套"
    "|倍|公里|公斤|米|人|户|封|通|笔|款|种|项|批|场|站|页|令吉|元|块|美元|新元|千|百(?!分)|万|亿|粒"
    "|颗|片|双|对|晚|餐|岁|個|張|條|間|輛|種|項|雙|對|歲|頁|場|筆|萬|億|分鐘|小時|塊"
)
SYMBOLS = {
    "&": "和", "+": "加", "=": "等于", "@": "at", "%": "百分号", "°": "度", "±": "正负", "×": "乘",
    "÷": "除以", "→": "到", "²": "平方", "³": "立方", "©": "版权", "™": "", "®": "", "•": "",
    "*": "", "_": "", "|": "，", "\\": "", "^": "", "#": "井号", "§": "第", ".": "点", "<": "小于",
    ">": "大于", "~": "约", "/": "斜杠", ":": "比", "#word": "话题",
}  # fmt: skip
MARKS = {
    ".": "点", "@": "at", "-": "横杠", "_": "下划线", "+": "加", "/": "斜杠", ":": "冒号",
    "?": "问号", "=": "等于", "&": "和", "#": "井号", "%": "百分号", "~": "波浪号", "*": "星号",
}  # fmt: skip
