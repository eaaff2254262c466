"""English short forms, with Malaysia's: titles, streets, companies, and spelt acronyms."""

from __future__ import annotations

from text_normaliser.abbreviations import ShortForms

TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor",
    "St": "Saint", "Mt": "Mount", "MR": "Mister", "MRS": "Missus", "MS.": "Miz", "DR.": "Doctor",
    "Assoc.": "Associate", "Capt.": "Captain", "Col.": "Colonel", "Gen.": "General",
    "Insp.": "Inspector", "Lt.": "Lieutenant", "Sgt.": "Sergeant", "Rev.": "Reverend",
    "Gov.": "Governor", "Hon.": "Honorable", "En": "Encik", "Pn": "Puan", "Tn": "Tuan",
    "Hj": "Haji", "Hjh": "Hajah", "Dt": "Datuk", "Dato'": "Dato", "Ust": "Ustaz", "Jln": "Jalan",
    "JLN": "Jalan", "Tmn": "Taman", "Kg": "Kampung", "Lrg": "Lorong", "Sg": "Sungai",
    "Bdr": "Bandar", "Bkt": "Bukit", "Ptd": "Petak",
}  # fmt: skip
BEFORE_NUMBER = {
    "No": "number", "no.": "number", "NO.": "number", "Nos": "numbers", "Ext": "extension",
    "ext": "extension", "Tel": "telephone", "tel": "telephone", "Lvl": "level", "Blk": "block",
    "Jln": "Jalan", "Lrg": "Lorong", "pg": "page", "p.": "page", "pp.": "pages", "vol": "volume",
    "Vol": "volume", "Ch": "chapter", "ch": "chapter", "fig": "figure", "Fig": "figure",
    "Sec": "section", "Art.": "article", "Rm": "room", "v": "version", "ver": "version",
    "Ver": "version", "approx": "approximately", "max": "maximum", "min": "minimum",
    "Ref": "reference", "ref": "reference", "Qty": "quantity", "qty": "quantity", "M/S": "",
}  # fmt: skip
DOTTED = {
    "p.a": "per annum", "Mar": "March", "Jun": "June", "Jul": "July", "Sep": "September",
    "approx": "approximately", "dept": "department", "Dept": "department", "govt": "government",
    "Govt": "government", "min": "minimum", "max": "maximum", "etc": "et cetera", "vs": "versus",
    "e.g": "for example", "i.e": "that is", "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated",
    "Ltd": "Limited", "Co": "Company", "Corp": "Corporation", "Sdn": "Sendirian", "Bhd": "Berhad",
    "SDN": "Sendirian", "BHD": "Berhad", "St": "Street", "Rd": "Road", "Ave": "Avenue",
    "Blvd": "Boulevard", "Bldg": "Building", "Apt": "apartment", "Jln": "Jalan", "Tmn": "Taman",
    "Kg": "Kampung", "Lrg": "Lorong", "Blk": "Block", "Flr": "Floor", "Jan": "January",
    "Feb": "February", "Apr": "April", "Aug": "August", "Sept": "September", "Oct": "October",
    "Nov": "November", "Dec": "December", "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday",
    "Wed": "Wednesday", "Thu": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "hrs": "hours",
    "mins": "minutes", "acct": "account", "Acct": "account", "appt": "appointment",
    "attn": "attention", "Attn": "attention", "est": "established", "incl": "including",
    "excl": "excluding", "tel": "telephone", "Tel": "telephone", "ext": "extension",
    "Ext": "extension", "a.k.a": "also known as", "temp": "temporary", "info": "info",
    "Ref": "reference", "ref": "reference", "pcs": "pieces", "yrs": "years",
}  # fmt: skip
FIXED = {
    "PhD": "P H D", "Ph.D.": "P H D", "MSc": "M S C", "BSc": "B S C", "eKYC": "E K Y C",
    "e-KYC": "E K Y C", "WiFi": "Wi-Fi", "a/c": "account", "A/C": "account", "c/o": "care of",
    "n/a": "not applicable", "N/A": "not applicable", "w/o": "without", "and/or": "and or",
    "he/she": "he or she", "his/her": "his or her", "yes/no": "yes or no", "iOS": "I O S",
    "YouTube": "YouTube", "&": "and", "C#": "C sharp", "IPv4": "I P V four", "IPv6": "I P V six",
    "S/N": "serial number", "A/C no.": "account number", "a/c no.": "account number",
}  # fmt: skip
SPELT = {
    "ABC", "AC", "AI", "AIA", "API", "ATM", "BBQ", "BSN", "CCTV", "CEO", "CFO", "CIMB", "COO",
    "CRM", "CTO", "DHL", "DIY", "DOB", "EIS", "EMCO", "EPF", "EPU", "ETA", "ETF", "EU", "EV", "FAQ",
    "FYI", "GPS", "HR", "HSBC", "IC", "ICU", "ID", "IOU", "IP", "IPO", "ISP", "IVR", "JB", "JPJ",
    "JPN", "KKM", "KL", "KLCC", "KLIA", "KPJ", "KTM", "KWSP", "KYC", "LHDN", "LRT", "MBSB", "MCO",
    "MMU", "MOH", "MRT", "NGO", "OCBC", "OPD", "OS", "OTP", "PA", "PC", "PDF", "PJ", "PR", "QR",
    "RHB", "RSVP", "SLA", "SMS", "SSM", "SUV", "TNB", "TNG", "TV", "UAE", "UIA", "UITM", "UK",
    "UKM", "UM", "UN", "UOB", "UPS", "URL", "USA", "USB", "USM", "VIP", "VPN", "XYZ",
}  # fmt: skip
OPENERS = {
    "A", "After", "Also", "An", "And", "Are", "As", "At", "Before", "But", "By", "Call", "Can",
    "Contact", "Could", "Did", "Do", "Does", "For", "From", "He", "Her", "Here", "His", "How",
    "However", "I", "If", "In", "Is", "It", "Its", "Let", "May", "My", "Next", "No", "Not", "Now",
    "Of", "On", "Or", "Our", "Please", "Press", "She", "So", "Sorry", "Thank", "Thanks", "That",
    "The", "Their", "Then", "There", "These", "They", "This", "To", "Today", "Tomorrow", "Visit",
    "Was", "We", "What", "When", "Where", "Which", "Who", "Why", "Will", "Would", "Yes", "You",
    "Your",
}  # fmt: skip
COUNTED = {
    "Act", "Appendix", "Article", "Book", "Chapter", "Episode", "Level", "Part", "Phase", "Round",
    "Schedule", "Section", "Stage", "Tier", "Volume", "War", "act", "appendix", "article", "book",
    "chapter", "episode", "level", "part", "phase", "round", "schedule", "section", "stage", "tier",
    "volume",
}  # fmt: skip
REIGNING = {
    "Alexander", "Benedict", "Carlos", "Catherine", "Charles", "Edward", "Elizabeth", "Felipe",
    "Frederick", "George", "Henry", "James", "Leo", "Louis", "Margrethe", "Muhammad", "Napoleon",
    "Nicholas", "Paul", "Philip", "Pius", "Ramses", "Richard", "William",
}  # fmt: skip
NUMBERED = (
    "account", "booking", "card", "case", "claim", "contact", "flight", "invoice", "mobile",
    "order", "passport", "phone", "policy", "receipt", "ref", "reference", "serial", "tel",
    "ticket", "tracking",
)  # fmt: skip
WORN = {
    **{f"{what} no.": f"{what} number" for name in NUMBERED for what in (name, name.capitalize())},
}  # fmt: skip
SHORT = ShortForms(
    titles=TITLES,
    before_number=BEFORE_NUMBER,
    dotted=DOTTED,
    fixed=FIXED,
    spelt=frozenset(SPELT),
    sentence_starts=frozenset(OPENERS),
    numbered=frozenset(COUNTED),
    regnal_names=frozenset(REIGNING),
    bare=WORN,
)
