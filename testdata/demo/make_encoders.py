"""Makes testdata/demo/encoders: three tiny, seeded, untrained checkpoints in Hugging Face's layout.

    python make_encoders.py [OUT]        (torch 2.15, transformers 5.23, tokenizers 0.23)

They are real architectures at toy size, with random weights: their features mean nothing. They let the repository show
and test the whole way from a file to features without a download.
"""
import json
import os
import sys

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, ViTConfig, ViTModel, Wav2Vec2Config, Wav2Vec2Model

out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "encoders")
SENTENCES = """the cat looks at the camera with green eyes . a red bicycle leans against a wall . two dogs run along the beach .
a voice reads a short sentence . where is the nearest station ? the picture shows a tabby cat . music plays softly in the room .
people walk across the bridge in the rain . she writes a letter to an old friend . the train leaves at half past seven .""".split("\n")


def save(model, name):
    d = os.path.join(out, name)
    torch.manual_seed(len(name))
    with torch.no_grad():
        for n, p in model.named_parameters():  # keep activations alive: random gains and biases, wider weights
            if n.endswith("bias"):
                p.normal_(0, 0.05)
            elif p.dim() == 1:
                p.normal_(1, 0.1)
            else:
                p.normal_(0, 0.6 / p[0].numel() ** 0.5 if p.dim() > 1 else 0.1)
    model.to(torch.float16).save_pretrained(d)
    return d


def text():
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    tok.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                       special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    cfg = BertConfig(vocab_size=tok.get_vocab_size(), hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
                     intermediate_size=96, max_position_embeddings=64)
    d = save(BertModel(cfg), "text")
    tok.save(os.path.join(d, "tokenizer.json"))


def image():
    cfg = ViTConfig(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, image_size=64, patch_size=16)
    d = save(ViTModel(cfg), "image")
    json.dump({"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 64, "width": 64}, "resample": 2,
               "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
              open(os.path.join(d, "preprocessor_config.json"), "w"), indent=1)


def audio():
    cfg = Wav2Vec2Config(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, conv_dim=[32] * 7,
                         num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4)
    d = save(Wav2Vec2Model(cfg), "audio")
    json.dump({"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True, "feature_size": 1, "padding_side": "right",
               "padding_value": 0.0, "return_attention_mask": False, "sampling_rate": 16000},
              open(os.path.join(d, "preprocessor_config.json"), "w"), indent=1)


if __name__ == "__main__":
    text()
    image()
    audio()
