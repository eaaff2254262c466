"""Words that are frequent in either English or Malay and do not exist in the other."""

from __future__ import annotations

_ENGLISH = """
a about above account after again all also am amount an and any are as ask at available back balance
bank be because been before below between bill book branch but by call can can't card cents charge
check child closed closes code contact cost could customer date day days delivery dial did dinner do
does dollars don't down due each email fee fees flight floor for free from get give go good great
has have he he's hello help her here his hour hours how i i'd i'm if in information is it it's its
just key know last left let level like made make many may me member members message million minute
minutes month monthly more most much must my name need new next not now number of off office on one
only open opens or order our out over page paid parcel pay payment people per person phone please
press price read ready reply room said seat see send service she should since sir so some stay still
street take terminal terms than thank thanks that the their them then there these they this thousand
ticket time to today tomorrow too total two under until up us use valid version very visit want was
we we're week weekly weight well were what when where which while who why will with within won't
works would year years yes yesterday you you're your
"""
_MALAY = """
abad ada adakah adalah agar akan akaun aku alamat aman amat anak anda angin antara apa apabila
apakah atas atau awak awal bagaimana bagi bahagian baharu bahawa baik baju baki bangunan banyak bapa
barang baru bas bateri bawa bawah bayar bayaran beberapa beg begitu bekas belanja beli beliau belum
benar berakhir berapa berat beri berikut berjaya bermula bersama bersetuju bertemu besar besok bil
bila bilik bin binti blok boleh borang buat buka bukan bukti bulan bumbung caj cara cawan cawangan
cepat cukup cuma cuti daftar dah dahulu dalam dan dapat dapatkan dari daripada dekat demi dengan
depan dewan dgn di dia dibayar dibuka didaftar dihantar diri diskaun ditutup dll dlm dokumen drpd
duit dulu ejen emas empat enam enjin esok faedah faks filem gaji gambar ganda gerai gred gula guna
hampir hantar hanya harap harga hari harus helai hendak hingga hubungi hujan huruf hutang ia iaitu
ialah ikan ikut ikuti imbas ingin ini isi isteri itu jadi jadual jam jangan jarak jawab jawapan jika
juga jumlah juta kad kadar kalah kalau kali kami kapal kapasiti kasih kasut kata katil kaunter ke
kecil kedua kelajuan kelas keluar kemas kemudian kena kenapa kepada keping kerana kereta kerja kes
kesihatan ketika ketinggian khidmat kilang kini kira kita klik klinik kod kos kosong kpd kurang lagi
lain lalu laluan lama langganan langkah lapan laporan layari lebar lebih lepas lesen lewat lihat
lima luar lulus luput maaf mahu majlis maka makan maklumat maksimum malam mana masa masih masuk
masukkan mata melalui memang menang menteri mereka mesej mesin mesti mesyuarat minggu minit minta
minum mohon muat muka mula mulai naik nak nama nanti nilai nombor oleh orang pada padam pagi paip
pakai pakar pakej paling panas panggilan panjang paras pasangan pasport pejabat pelajar pelan
pelanggan pelbagai pendek penerbangan penggunaan perang percuma pergi perkhidmatan perlu permohonan
pernah pesakit pesanan pesawat petang pihak pilih pinjaman pintu polisi poskod potongan program
promosi pukul pula pulang pun rakan ramai rawatan rehat ribu rujuk rujukan rumah saat sahaja saiz
saja saksi salah sama sampai sangat satu saya sebab sebanyak sebarang sebelum sebulan sebut sedang
segera sehari sehingga sejak sejuk sekali sekarang sekolah selama selamat selepas seluruh semak
semalam sembilan seminggu semua semula senarai sendiri seorang seperti serah seramai serta setahun
setengah setiap sewa siapa sijil sila silap simpan simpanan sini situ skor stok suami suatu subjek
sudah suhu suka sukan supaya surat syarat syarikat tahu tahun taip tak talian tamat tambah tambahan
tanpa tapi tarikh tawaran tayar tebal tekan telaga telah telefon tempahan tempat tengah tentang
terbaik terhadap terima terkini terma terpakai tersebut tersedia tertentu teruk tetapi tiba tidak
tiga tiket tinggal tinggi tingkat transaksi tujuh tunai tunggakan tunggu turun tutup ubat ulang umur
undian untuk usah utk wad waktu walaupun wang warna wayar ya yang yg yuran
"""
ENGLISH = frozenset(_ENGLISH.split())
MALAY = frozenset(_MALAY.split())
