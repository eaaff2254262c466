"""Pronunciations of Malaysian names and words that the general English rules read wrong.

The phonemes are misaki's American English: A, I, O and W are the diphthongs of day, my, go and now,
ʤ and ʧ are the sounds of jam and chat, and ˈ and ˌ precede a stressed syllable.
"""

from __future__ import annotations

PLACES = {
    "Petaling": "pətˈɑlɪŋ", "Jaya": "ʤˈɑjə", "Alam": "ˈɑlɑm", "Putrajaya": "pˌutɹəʤˈɑjə",
    "Cyberjaya": "sˌIbəɹʤˈɑjə", "Selangor": "səlˈɑŋɔɹ", "Kelantan": "kəlˈɑntɑn",
    "Terengganu": "təɹəŋɡˈɑnu", "Pahang": "pəhˈɑŋ", "Perlis": "pˈɜɹlɪs", "Kedah": "kədˈɑ",
    "Negeri": "nəɡˈɹi", "Sembilan": "səmbˈilɑn", "Subang": "sˈubɑŋ", "Bukit": "bˈukɪt",
    "Bintang": "bˈɪntɑŋ", "Jalan": "ʤˈɑlɑn", "Ampang": "ˈɑmpɑŋ", "Taman": "tˈɑmɑn", "Desa": "dˈɛsə",
    "Kampung": "kˈɑmpʊŋ", "Baru": "bˈɑɹu", "Bharu": "bˈɑɹu", "Alor": "ˈɑlɔɹ", "Setar": "sətˈɑɹ",
    "Miri": "mˈiɹi", "Sibu": "sˈibu", "Menara": "mənˈɑɹə", "Persiaran": "pˌɜɹsiˈɑɹɑn",
    "Lebuhraya": "ləbˌuɹˈɑjə", "Sungai": "sˈuŋI", "Bandar": "bˈɑndɑɹ", "Kajang": "kˈɑʤɑŋ",
    "Puchong": "pˈuʧɔŋ", "Rawang": "ɹˈɑwɑŋ", "Seksyen": "sˈɛkʃən", "Damansara": "dˌɑmənsˈɑɹə",
    "Cheras": "ʧˈɛɹəs", "Taiping": "tˈIpɪŋ", "Batu": "bˈɑtu", "Pahat": "pˈɑhɑt", "Muar": "mˈuɑɹ",
    "Sandakan": "sɑndˈɑkɑn", "Tawau": "tˈɑwW", "Bintulu": "bɪntˈulu", "Genting": "ɡˈɛntɪŋ",
    "Kepong": "kəpˈɔŋ", "Setapak": "sətˈɑpɑk", "Sepang": "səpˈɑŋ", "Nilai": "nˈilI",
    "Kulim": "kˈulɪm", "Tun": "tˈun", "Razak": "ɹˈɑzɑk", "Chulan": "ʧulˈɑn",
}  # fmt: skip
WORDS = {
    "Encik": "ənʧˈɪk", "Puan": "pwˈɑn", "Cik": "ʧˈik", "Tuan": "twˈɑn", "Datuk": "dˈɑtʊk",
    "Dato": "dˈɑtO", "Datin": "dˈɑtɪn", "Sri": "sɹˈi", "Hajah": "hˈɑʤə", "Ustaz": "ustˈɑz",
    "Selamat": "səlˈɑmɑt", "pagi": "pˈɑɡi", "datang": "dˈɑtɑŋ", "tinggal": "tˈɪŋɡɑl",
    "terima": "təɹˈimə", "kasih": "kˈɑsi", "nasi": "nˈɑsi", "lemak": "ləmˈɑk", "roti": "ɹˈOti",
    "canai": "ʧˈɑnI", "teh": "tˈɛ", "tarik": "tˈɑɹɪk", "satay": "sˈɑtA", "laksa": "lˈɑksə",
    "rendang": "ɹəndˈɑŋ", "Raya": "ɹˈɑjə", "Aidilfitri": "ˌIdɪlfˈɪtɹi", "ringgit": "ɹˈɪŋɡɪt",
    "Berhad": "bəɹhˈɑd", "Sendirian": "sɛndˌɪɹiˈɑn", "Bhd": "bəɹhˈɑd", "Tenaga": "tənˈɑɡə",
    "Nasional": "nˌɑʃənˈɑl", "Bernama": "bəɹnˈɑmə", "Utara": "utˈɑɹə", "Selatan": "səlˈɑtɑn",
    "MyKad": "mˌIkˈæd", "TAC": "tˈæk", "SOCSO": "sˈɑksO",
}  # fmt: skip
NAMES = {
    "Nurul": "nˈuɹʊl", "Aisyah": "ˈIʃə", "Faizal": "fˈIzɑl", "Mohamed": "mOhˈɑməd",
    "Mohd": "mOhˈɑməd", "Muhammad": "muhˈɑməd", "Abdullah": "ɑbdˈʊlə", "Abdul": "ˈɑbdʊl",
    "Aminah": "əmˈinə", "Wong": "wˈɔŋ", "Ng": "ˈʌŋ", "Chong": "ʧˈɔŋ", "Kumar": "kumˈɑɹ",
    "Husein": "husˈAn", "Idayu": "idˈɑju", "Ooi": "ˈuˌi", "Teoh": "tˈO", "Rahman": "ɹˈɑmɑn",
    "Ibrahim": "ˌɪbɹəhˈim", "Anwar": "ˈɑnwɑɹ", "Hafiz": "hɑfˈiz", "Azlan": "ˈɑzlɑn",
    "Zainal": "zˈInɑl", "Hakim": "hɑkˈim", "Farah": "fˈɑɹə", "Nadia": "nˈɑdiə", "Suresh": "suɹˈɛʃ",
    "Rajesh": "ɹɑʤˈɛʃ", "Muthu": "mˈutu", "Tuanku": "twˈɑnku",
}  # fmt: skip
PRONUNCIATIONS = {**PLACES, **WORDS, **NAMES}
