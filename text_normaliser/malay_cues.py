"""Malay words before a number that determine its meaning, with the English ones in mixed use."""

from __future__ import annotations

import re

from text_normaliser import english_cues as english
from text_normaliser.language import Cues

NAMED = (
    "nombor|no|kod|akaun|pesanan|rujukan|tiket|bilik|kad|pasport|poskod|polisi|resit|invois|bil"
    "|sambungan|samb|telefon|talian|hubungi|dail|tekan|taip|hantar ke|sms ke|berakhir|kata laluan"
    "|keahlian|ahli|siri|plat|transaksi|tempahan|konsainan|penghantaran|penjejakan|aduan|kes"
    "|permohonan|pendaftaran|kaunter|giliran|pengenalan|digit terakhir|pengesahan|faks|pintu|loker"
    "|wad|bas|penerbangan|kunci|pin"
)
BETWEEN = (
    "anda|saya|kami|tuan|puan|encik|cik|ialah|adalah|ini|itu|pelanggan|rujukan|pengesahan|pesanan"
    "|telefon|dengan|yang|di|ke|nombor|no|number|code|is|baharu|baru|semasa|tersebut|promosi"
    "|sementara|sekali|guna|keselamatan|akhir|talian"
)
VEHICLES = "kereta|motosikal|motor|lori|teksi|penerbangan|plat|pendaftaran|kenderaan|bas"
HOUSES = "nombor|blok|rumah|kedai|tingkat|pangsapuri"
STREETS = r"Blok|Pekan|Bandar|Lebuhraya|Kampung|Kg\.?|Tmn\.?|nombor"
CUES = Cues(
    code=re.compile(
        rf"\b(?:{english.NAMED}|{NAMED})(?:nya)?(?: (?:{BETWEEN})\b|\.|:|#){{0,4}} *$",
        re.IGNORECASE,
    ),
    plate=re.compile(rf"\b(?:{english.VEHICLES}|{VEHICLES})\b", re.IGNORECASE),
    place=re.compile(rf"\b(?:{english.HOUSES}|{HOUSES})\.? $", re.IGNORECASE),
    street=re.compile(rf"\b(?:{english.STREETS}|{STREETS}) (?:[A-Z]{{1,4}})?$"),
    date=re.compile(
        r"\b(?:pada|sebelum|selepas|hingga|sehingga|sampai|dari|daripada|mulai|mula|bermula|tarikh"
        r"|bertarikh|tamat|berakhir|luput|due|before|by):? $",
        re.IGNORECASE,
    ),
    expiry=re.compile(
        r"\b(?:luput|tamat(?: tempoh)?|sah (?:hingga|sehingga|sampai)|exp(?:iry)?)\b", re.IGNORECASE
    ),
    year=re.compile(r"(?!)"),  # a year is spoken like any other number
    time=re.compile(
        r"\b(?:pukul|jam)(?: [\d.:]{1,5} ?(?:pagi |petang )?(?:hingga|sehingga|sampai|dan|-))? ?$",
        re.IGNORECASE,
    ),
    key=re.compile(r"\b(?:tekan|dail|masukkan|kemudian|atau|diikuti|press|dial) $", re.IGNORECASE),
)
