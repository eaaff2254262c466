"""Malay short forms: titles, streets, companies, and abbreviations used in messages."""

from __future__ import annotations

from text_normaliser.abbreviations import ShortForms
from text_normaliser.english_short import FIXED as ENGLISH_FIXED
from text_normaliser.english_short import SPELT

TITLES = {
    "En": "Encik", "Pn": "Puan", "Tn": "Tuan", "Ck": "Cik", "Hj": "Haji", "Hjh": "Hajah",
    "Dr": "Doktor", "DR": "Doktor", "Prof": "Profesor", "Ust": "Ustaz", "Ustz": "Ustazah",
    "Dt": "Datuk", "Dato'": "Dato", "Mej": "Mejar", "Kapt": "Kapten", "Sjn": "Sarjan",
    "Kpl": "Koperal", "Insp": "Inspektor", "YBhg": "Yang Berbahagia", "YAB": "Yang Amat Berhormat",
    "YB": "Yang Berhormat", "Mr": "Mister", "Ms": "Miz", "Mrs": "Missus", "EN": "Encik",
    "PN": "Puan", "Jln": "Jalan", "JLN": "Jalan", "Tmn": "Taman", "TMN": "Taman", "Kg": "Kampung",
    "KG": "Kampung", "Kpg": "Kampung", "Lrg": "Lorong", "Sg": "Sungai", "Bdr": "Bandar",
    "Bkt": "Bukit", "Psn": "Persiaran", "Psrn": "Persiaran", "Lbh": "Lebuh", "Tkt": "Tingkat",
    "Blk": "Blok", "Bhg": "Bahagian",
}  # fmt: skip
BEFORE_NUMBER = {
    "No": "nombor", "no": "nombor", "NO.": "nombor", "Bil.": "bilangan", "bil.": "bilangan",
    "Tel": "telefon", "tel": "telefon", "Samb": "sambungan", "samb": "sambungan",
    "Ext": "sambungan", "ext": "sambungan", "Tkt": "tingkat", "Blk": "blok", "Lvl": "aras",
    "Jln": "Jalan", "Lrg": "Lorong", "hlm": "halaman", "m.s.": "muka surat", "ms": "muka surat",
    "jil": "jilid", "v": "versi", "ver": "versi", "Ver": "versi", "maks": "maksimum",
    "min": "minimum", "Ruj": "rujukan", "ruj": "rujukan", "Ref": "rujukan", "ref": "rujukan",
    "Sek": "Seksyen", "seks": "seksyen",
}  # fmt: skip
DOTTED = {
    "dll": "dan lain-lain", "dsb": "dan sebagainya", "dst": "dan seterusnya", "cth": "contohnya",
    "Cth": "Contohnya", "spt": "seperti", "sbb": "sebab", "sbg": "sebagai", "hlm": "halaman",
    "hb": "hari bulan", "yg": "yang", "dgn": "dengan", "Dgn": "Dengan", "kpd": "kepada",
    "Kpd": "Kepada", "drpd": "daripada", "dlm": "dalam", "pd": "pada", "tdk": "tidak",
    "tlg": "tolong", "Tlg": "Tolong", "skrg": "sekarang", "sblm": "sebelum", "slps": "selepas",
    "blm": "belum", "blh": "boleh", "bkn": "bukan", "krn": "kerana", "kpn": "kad pengenalan",
    "jwb": "jawab", "hrp": "harap", "mcm": "macam", "tmpt": "tempat", "sdg": "sedang",
    "trm": "terima", "ksh": "kasih", "bln": "bulan", "thn": "tahun", "mgg": "minggu",
    "tgh": "tengah", "mlm": "malam", "ptg": "petang", "tkh": "tarikh", "Tkh": "Tarikh",
    "dkt": "dekat", "jgn": "jangan", "Sdn": "Sendirian", "Bhd": "Berhad", "SDN": "Sendirian",
    "BHD": "Berhad", "Jln": "Jalan", "Tmn": "Taman", "Kg": "Kampung", "Lrg": "Lorong",
    "Blk": "Blok", "Tkt": "Tingkat", "Hj": "Haji", "Isn": "Isnin", "Sel": "Selasa", "Kha": "Khamis",
    "Jum": "Jumaat", "Sab": "Sabtu", "Ahd": "Ahad", "Jan": "Januari", "Feb": "Februari",
    "Apr": "April", "Jul": "Julai", "Ogo": "Ogos", "Aug": "Ogos", "Sep": "September",
    "Sept": "September", "Okt": "Oktober", "Oct": "Oktober", "Nov": "November", "Dis": "Disember",
    "Dec": "Disember", "maks": "maksimum", "min": "minimum", "ruj": "rujukan", "samb": "sambungan",
    "tel": "telefon", "Tel": "telefon", "etc": "dan lain-lain", "No": "Nombor", "no": "nombor",
    "NO": "nombor", "pcs": "unit",
}  # fmt: skip
NUMBERED = (
    "telefon", "akaun", "rujukan", "pesanan", "kad", "tel", "resit", "siri", "pasport", "giliran",
)  # fmt: skip
WORN = {
    "yg": "yang", "Yg": "Yang", "utk": "untuk", "Utk": "Untuk", "org": "orang", "sy": "saya",
    "Sy": "Saya", "spy": "supaya", "slpas": "selepas", "bkerja": "bekerja", "sgt": "sangat",
    "shj": "sahaja", "tsb": "tersebut",
    **{
        f"{short} {what}": f"{long} {what}"
        for short, long in (("No", "Nombor"), ("no", "nombor"), ("No.", "Nombor"))
        for what in NUMBERED
    },
}  # fmt: skip
FIXED = {
    **ENGLISH_FIXED,
    "&": "dan", "a/l": "anak lelaki", "A/L": "anak lelaki", "a/p": "anak perempuan",
    "A/P": "anak perempuan", "s/d": "sampai dengan", "d/a": "dengan alamat", "dan/atau": "dan atau",
    "atau/dan": "atau dan", "n/a": "tiada", "N/A": "tiada", "a/c": "akaun", "A/C": "akaun",
    "w/o": "tanpa", "and/or": "dan atau", "t/tangan": "tandatangan",

    "No. Ruj.": "nombor rujukan", "No. Ruj": "nombor rujukan", "No. Tel.": "nombor telefon",
    "No. Tel": "nombor telefon", "K/P": "kad pengenalan", "k/p": "kad pengenalan",
    "b/p": "bagi pihak", "u/p": "untuk perhatian", "S/N": "nombor siri",
    "tuan/puan": "tuan atau puan", "Tuan/Puan": "Tuan atau Puan", "ya/tidak": "ya atau tidak",
}  # fmt: skip
MALAY_SPELT = {
    "ADUN", "APAD", "BPR", "BSN", "DBP", "DUN", "JHEV", "JKR", "JPA", "KDN", "KPDN", "KPM", "LPPSA",
    "MP", "MPAJ", "MBPJ", "OKU", "PBT", "PDRM", "PMR", "PTPTN", "RTM", "SPM", "SPR", "STR", "TM",
    "UPSR",
}  # fmt: skip
OPENERS = {
    "Ada", "Adakah", "Anda", "Apa", "Apakah", "Atau", "Bagaimana", "Bagi", "Baik", "Baki", "Berapa",
    "Bila", "Boleh", "Bolehkah", "Dalam", "Dan", "Dari", "Dengan", "Di", "Dia", "Harap", "Hari",
    "Hubungi", "Ia", "Ini", "Itu", "Jangan", "Jika", "Jumlah", "Kalau", "Kami", "Kemudian",
    "Kepada", "Kita", "Klik", "Layari", "Maaf", "Mereka", "Minta", "Mohon", "Nombor", "Oleh",
    "Pada", "Pesanan", "Saya", "Sebarang", "Selamat", "Selepas", "Semua", "Sila", "Tekan", "Terima",
    "Tetapi", "Tiada", "Tidak", "Untuk", "Ya", "Yang",
}  # fmt: skip
COUNTED = {
    "Bab", "Bahagian", "Fasa", "Jadual", "Jilid", "Lampiran", "Peringkat", "Dunia", "Seksyen",
    "Tahap", "Tingkatan",
}  # fmt: skip
SHORT = ShortForms(
    titles=TITLES,
    before_number=BEFORE_NUMBER,
    dotted=DOTTED,
    fixed=FIXED,
    spelt=frozenset(SPELT | MALAY_SPELT),
    sentence_starts=frozenset(OPENERS),
    numbered=frozenset(COUNTED),
    bare=WORN,
    regnal_names=frozenset({"Agong", "Abdullah", "Mahmud", "Muhammad", "Ismail"}),
)
