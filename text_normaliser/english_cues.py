"""English words before a number that determine its meaning."""

from __future__ import annotations

import re

from text_normaliser.language import Cues

# Also used in Malay: "kod OTP", "tracking number anda".
NAMED = (
    "codes?|pins?|otp|tac|password|passcode|ext|extension|account|passport|reference|ref|booking"
    "|ticket|tracking|invoice|serial|s/n|postcode|zip|policy|sim|id|ic|order|case|card|phone|mobile"
    "|room|flight|bus|gate|ward|locker|tel|telephone|fax|hotline|plate|digits|press|dial|call"
    "|ending|member(?:ship)?|receipt|transaction|confirmation"
)
VEHICLES = "flight|plate|car|vehicle|van|lorry|motorcycle|registration"
HOUSES = "unit|suite|lot|block|blk|no|number|house|apartment|shop"
STREETS = (
    r"Jalan|Jln\.?|Lorong|Lrg\.?|Section|Seksyen|Persiaran|Lebuh|Taman|Lot|No\.?|Unit|Block|Road"
)
CUES = Cues(
    code=re.compile(
        rf"\b(?:{NAMED})(?: number| no\.?| code| in| with| is| are| of|:|\.|#){{0,3}} *$",
        re.IGNORECASE,
    ),
    plate=re.compile(rf"\b(?:{VEHICLES})\b", re.IGNORECASE),
    place=re.compile(rf"\b(?:{HOUSES})\.? $", re.IGNORECASE),
    street=re.compile(rf"\b(?:{STREETS}) (?:[A-Z]{{1,4}})?$"),
    date=re.compile(
        r"\b(?:on|by|before|until|till|since|from|due|dated|after|ends?|expires|starts?|begins?)"
        r" (?:the )?$",
        re.IGNORECASE,
    ),
    expiry=re.compile(
        r"\b(?:expir(?:y|es|ed|ing)|exp|valid (?:thru|through|until|till))\b", re.IGNORECASE
    ),
    year=re.compile(
        r"\b(?:in|since|year|from|of|by|until|till|to|after|before|early|late|circa|and|AD) $",
        re.IGNORECASE,
    ),
    time=re.compile(r"\b(?:at|until|till|at about|at around) $", re.IGNORECASE),
    key=re.compile(r"\b(?:press|dial|key in|enter|then|or) $", re.IGNORECASE),
)
