"""Writes model folders that cannot be loaded, each with what an error about it
has to name, for the command line's tests.

    python bad_models.py DIR

DIR/bad.json lists them: [{"name", "class", "names": [substrings of the error],
"status": 1 or 3}].
"""

import json
import os
import shutil
import struct
import sys

import torch
from safetensors.torch import load_file, save_file

import common
from bert import config, text


def main(root):
    base = os.path.join(root, "base")
    case = common.Case("bad.base", "BertModel", config(num_hidden_layers=1), text("bad.base"))
    common.write_checkpoint(case, base)
    common.save_file(common.to_torch(case.inputs), os.path.join(root, "in.safetensors"))
    listing = []

    def bad(name, names, status=1, edit_config=None, edit_tensors=None, edit=None):
        folder = os.path.join(root, name)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        path = os.path.join(folder, "config.json")
        if edit_config:
            with open(path) as f:
                c = json.load(f)
            edit_config(c)
            with open(path, "w") as f:
                json.dump(c, f)
        path = os.path.join(folder, "model.safetensors")
        if edit_tensors:
            sd = load_file(path)
            edit_tensors(sd)
            save_file(sd, path, metadata={"format": "pt"})
        if edit:
            edit(folder)
        listing.append({"name": name, "names": names, "status": status})

    def put(**kw):
        return lambda c: c.update(kw)

    def write(file, data):
        def f(folder):
            with open(os.path.join(folder, file), "wb") as out:
                out.write(data)

        return f

    def truncate(n):
        return lambda folder: os.truncate(os.path.join(folder, "model.safetensors"), n)

    def index(weight_map):
        def f(folder):
            os.remove(os.path.join(folder, "model.safetensors"))
            write("model.safetensors.index.json", json.dumps({"metadata": {}, "weight_map": weight_map}).encode())(folder)

        return f

    q = "encoder.layer.0.attention.self.query.weight"
    bad("missing_tensor", [q], edit_tensors=lambda sd: sd.pop(q))
    bad("misshapen", [q, "[48 47]", "[48 48]"], edit_tensors=lambda sd: sd.update({q: torch.zeros(48, 47)}))
    bad("transposed_rank", [q], edit_tensors=lambda sd: sd.update({q: torch.zeros(48)}))
    bad("nan_weight", ["embeddings.LayerNorm.weight"], edit_tensors=lambda sd: sd["embeddings.LayerNorm.weight"].fill_(float("nan")))
    bad("integer_weight", [q], edit_tensors=lambda sd: sd.update({q: torch.zeros(48, 48, dtype=torch.int64)}))
    bad("vocabulary", ["embeddings.word_embeddings.weight"], edit_config=put(vocab_size=212))
    bad("layers_2e31", ["num_hidden_layers"], edit_config=put(num_hidden_layers=2**31))
    bad("layers_more", ["encoder.layer.1."], edit_config=put(num_hidden_layers=3))
    bad("layers_negative", ["num_hidden_layers"], edit_config=put(num_hidden_layers=-1))
    bad("heads_zero", ["num_attention_heads"], edit_config=put(num_attention_heads=0))
    bad("heads_five", ["attention heads"], edit_config=put(num_attention_heads=5))
    bad("hidden_string", ["hidden_size"], edit_config=put(hidden_size="48"))
    bad("hidden_float", ["hidden_size"], edit_config=put(hidden_size=48.5))
    bad("hidden_huge", ["hidden_size"], edit_config=put(hidden_size=2**62))
    bad("activation", ["snake"], 3, edit_config=put(hidden_act="snake"))
    bad("model_type", ["perceiver"], 3, edit_config=put(model_type="perceiver"))
    bad("class", ["BertForTelepathy"], 3, edit_config=put(architectures=["BertForTelepathy"]))
    bad("no_architecture", ["architectures"], edit_config=lambda c: c.pop("architectures"))
    bad("config_array", ["config.json"], edit=write("config.json", b"[]"))
    bad("config_truncated", ["config.json"], edit=write("config.json", b'{"model_type":"bert"'))
    bad("config_deep", ["config.json"], edit=write("config.json", b'{"a":' * 5000 + b"1" + b"}" * 5000))
    bad("config_empty", ["config.json"], edit=write("config.json", b""))
    bad("no_config", ["config.json"], edit=lambda folder: os.remove(os.path.join(folder, "config.json")))
    bad("no_weights", ["model.safetensors"], edit=lambda folder: os.remove(os.path.join(folder, "model.safetensors")))
    bad("empty_weights", ["model.safetensors"], edit=write("model.safetensors", b""))
    bad("truncated_header", ["model.safetensors"], edit=truncate(100))
    bad("truncated_data", ["model.safetensors"], edit=truncate(20000))
    bad("header_2e60", ["model.safetensors"], edit=write("model.safetensors", struct.pack("<Q", 2**60)))
    bad("fifo_weights", ["model.safetensors"], edit=lambda d: (os.remove(os.path.join(d, "model.safetensors")), os.mkfifo(os.path.join(d, "model.safetensors"))))
    bad("symlink_out", ["model.safetensors"], edit=lambda d: (os.remove(os.path.join(d, "model.safetensors")), os.symlink("/etc/hostname", os.path.join(d, "model.safetensors"))))
    bad("index_parent", ["../base/model.safetensors"], edit=index({q: "../base/model.safetensors"}))
    bad("index_absolute", ["/etc/hostname"], edit=index({q: "/etc/hostname"}))
    bad("index_missing_shard", ["model-00001-of-00002.safetensors"], edit=index({q: "model-00001-of-00002.safetensors"}))
    bad("index_array", ["model.safetensors.index.json"], edit=lambda d: (os.remove(os.path.join(d, "model.safetensors")), write("model.safetensors.index.json", b"[1]")(d)))
    with open(os.path.join(root, "bad.json"), "w") as f:
        json.dump(listing, f, indent=1)
    print(f"{len(listing)} folders")


if __name__ == "__main__":
    main(sys.argv[1])
