"""Times weft beside ONNX Runtime and OpenVINO on the same models, round by round.

    go build -o /path/to/weft ./cmd/weft
    pip install torch transformers==5.23.0 onnx onnxruntime openvino safetensors
    python docs/peers.py /path/to/weft FOLDER [--threads 1] [--rounds 7] [--only REGEX]

FOLDER takes the models: seeded random weights at the published sizes, about
1 GB. Every engine computes in float32 (OpenVINO is told to: by itself it takes
bfloat16 on processors that have it), answers are compared with PyTorch's, and
a round runs each engine in turn, so that ratios hold on a noisy machine.
"""
import argparse, json, os, re, statistics, subprocess, time

import numpy as np
import torch
import transformers as tf
from safetensors.numpy import load_file, save_file

CASES = {
    "bert-base/s16": (tf.BertModel, tf.BertConfig(), "input_ids", lambda: torch.randint(0, 30522, (1, 16))),
    "bert-base/s128": (tf.BertModel, tf.BertConfig(), "input_ids", lambda: torch.randint(0, 30522, (1, 128))),
    "minilm-l6/s128": (tf.BertModel, tf.BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536), "input_ids", lambda: torch.randint(0, 30522, (1, 128))),
    "vit-b16/b1": (tf.ViTModel, tf.ViTConfig(), "pixel_values", lambda: torch.randn(1, 3, 224, 224)),
    "wav2vec2-base/t1": (tf.Wav2Vec2Model, tf.Wav2Vec2Config(), "input_values", lambda: torch.randn(1, 16000)),
}


class Last(torch.nn.Module):
    def __init__(self, model, name):
        super().__init__()
        self.model, self.name = model, name

    def forward(self, x):
        return self.model(**{self.name: x}).last_hidden_state


def build(folder, case):
    """Writes the checkpoint, the case's input and answer, and the ONNX file."""
    cls, config, name, make = CASES[case]
    d, c = os.path.join(folder, case.split("/")[0]), case.split("/")[1]
    torch.manual_seed(0)
    config._attn_implementation = "eager"
    model = cls(config).eval()
    model.save_pretrained(d)
    x = make()
    with torch.no_grad():
        want = Last(model, name)(x)
        torch.onnx.export(Last(model, name), (x,), f"{d}/{c}.onnx", input_names=["x"], output_names=["y"], opset_version=17, dynamo=False)
    save_file({"in0": x.numpy(), "expected": want.numpy()}, f"{d}/{c}.safetensors")


class Weft:
    def __init__(self, engine, folder, case, threads):
        self.p = subprocess.Popen([engine, "bench", "--serve", "--models", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.case, self.threads = case, threads

    def __call__(self, n):
        self.p.stdin.write(f"run {self.case} {self.threads} {n}\n")
        self.p.stdin.flush()
        r = json.loads(self.p.stdout.readline())
        if "error" in r:
            raise SystemExit(f"{self.case}: {r['error']}")
        self.error = r["check"]["max_abs_diff"]
        return r["ns"] / 1e9


class Peer:
    def __init__(self, run, want):
        self.run, self.want = run, want

    def __call__(self, n):
        t = time.perf_counter()
        for _ in range(n):
            y = self.run()
        t = (time.perf_counter() - t) / n
        self.error = float(np.abs(y - self.want).max())
        return t


def peers(folder, case, threads):
    import onnxruntime as ort
    import openvino as ov
    d, c = os.path.join(folder, case.split("/")[0]), case.split("/")[1]
    t = load_file(f"{d}/{c}.safetensors")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(f"{d}/{c}.onnx", options, providers=["CPUExecutionProvider"])
    core = ov.Core()
    request = core.compile_model(core.read_model(f"{d}/{c}.onnx"), "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    return {"onnxruntime": Peer(lambda: session.run(None, {"x": t["in0"]})[0], t["expected"]),
            "openvino": Peer(lambda: request.infer({0: t["in0"]})[0], t["expected"])}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("engine")
    a.add_argument("folder")
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--rounds", type=int, default=7)
    a.add_argument("--only", default="")
    a = a.parse_args()
    for case in CASES:
        if not re.search(a.only, case):
            continue
        if not os.path.exists(os.path.join(a.folder, case.split("/")[0], case.split("/")[1] + ".safetensors")):
            build(a.folder, case)
        engines = {"weft": Weft(a.engine, a.folder, case, a.threads), **peers(a.folder, case, a.threads)}
        times = {k: [] for k in engines}
        for r in range(a.rounds + 2):
            for k, run in engines.items():
                n = max(1, round(0.2 / times[k][-1])) if times[k] else 1
                times[k].append(run(n))
        engines["weft"].p.stdin.close()
        print(case, f"{a.threads} threads")
        for k, v in times.items():
            v = v[2:]  # the first rounds warm up
            ratio = statistics.median(x / y for x, y in zip(v, times["weft"][2:]))
            print(f"  {k:12} {min(v) * 1e3:8.2f} ms   {ratio:5.2f} x weft's time   largest error {engines[k].error:.1e}")


if __name__ == "__main__":
    main()
