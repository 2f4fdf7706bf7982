"""The tri-encoder and its captioner, out of Transformers' own classes, and the directory they are kept in."""
import json
import math
import os

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import (BertConfig, BertModel, GenerationConfig, MixtralConfig, MixtralForCausalLM, ViTConfig,
                          ViTModel, Wav2Vec2Config, Wav2Vec2Model)

import world

PROJECTION = 128
PREFIX = 4
RATE = 16000
IMAGE = 64
PAD, UNK, CLS, SEP = 0, 1, 2, 3  # the captioner begins with CLS and ends with SEP


def make_tokenizer():
    """Whole words of the worlds; any other word falls apart into letters."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    for p in world.vocabulary() + letters + [str(d) for d in range(10)]:
        if p not in pieces:
            pieces.append(p)
    pieces += ["##" + c for c in letters + [str(d) for d in range(10)]]
    tok = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)])
    tok.decoder = decoders.WordPiece()
    tok.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return tok


def text_config(vocab):
    return BertConfig(vocab_size=vocab, hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
                      intermediate_size=256, max_position_embeddings=64, hidden_dropout_prob=0.0,
                      attention_probs_dropout_prob=0.0)


def image_config():
    return ViTConfig(hidden_size=128, num_hidden_layers=5, num_attention_heads=4, intermediate_size=384,
                     image_size=IMAGE, patch_size=8, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def speech_config():
    # The first convolution spans 20 ms and steps 5 ms, so that it can begin as a filter bank (see filter_bank);
    # the others bring the rate from 200 to 25 frames a second.
    return Wav2Vec2Config(hidden_size=160, num_hidden_layers=4, num_attention_heads=5, intermediate_size=480,
                          conv_dim=[160, 128, 128, 160], conv_kernel=[320, 5, 3, 3], conv_stride=[80, 2, 2, 2],
                          num_feat_extract_layers=4, feat_extract_norm="layer", conv_bias=True,
                          do_stable_layer_norm=True, num_conv_pos_embeddings=15, num_conv_pos_embedding_groups=8,
                          hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
                          final_dropout=0.0, layerdrop=0.0, apply_spec_augment=False, mask_time_prob=0.0,
                          vocab_size=32)


def caption_config(vocab):
    return MixtralConfig(vocab_size=vocab, hidden_size=128, intermediate_size=128, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, head_dim=32, num_local_experts=4,
                         num_experts_per_tok=2, max_position_embeddings=64, sliding_window=None,
                         router_aux_loss_coef=0.01, attention_dropout=0.0, bos_token_id=CLS, eos_token_id=SEP,
                         pad_token_id=PAD, tie_word_embeddings=True)


def filter_bank(n, width):
    """n/4 mel-spaced band filters in four phases each: what rectifies them next sees an envelope.

    Learning a filter bank from raw samples costs most of a small model's training; this begins with one.
    """
    bands = n // 4
    mel = torch.linspace(2595 * math.log10(1 + 80 / 700), 2595 * math.log10(1 + 7000 / 700), bands)
    hz = 700 * (10 ** (mel / 2595) - 1)
    t = (torch.arange(width) - (width - 1) / 2) / RATE
    w = torch.empty(n, 1, width)
    for i, f in enumerate(hz.tolist()):
        spread = min(width / RATE / 5, 1.2 / (24.7 * (4.37e-3 * f + 1)))
        window = torch.exp(-0.5 * (t / spread) ** 2)
        window = window / window.sum() * (f / 300 + 1) ** 0.8  # speech falls by about 5 dB an octave
        for k in range(4):
            w[4 * i + k, 0] = window * torch.cos(2 * math.pi * f * t + k * math.pi / 2)
    return w * 4


class TriEncoder(nn.Module):
    """Three towers into one space, and a decoder that says what lies there."""

    def __init__(self, vocab):
        super().__init__()
        self.text = BertModel(text_config(vocab), add_pooling_layer=False)
        self.image = ViTModel(image_config(), add_pooling_layer=False)
        self.speech = Wav2Vec2Model(speech_config())
        self.caption = MixtralForCausalLM(caption_config(vocab))
        with torch.no_grad():
            conv = self.speech.feature_extractor.conv_layers[0].conv
            conv.weight.copy_(filter_bank(conv.weight.shape[0], conv.weight.shape[2]))
            conv.bias.zero_()
        self.text_projection = nn.Linear(self.text.config.hidden_size, PROJECTION, bias=False)
        self.image_projection = nn.Linear(self.image.config.hidden_size, PROJECTION, bias=False)
        self.speech_projection = nn.Linear(self.speech.config.hidden_size, PROJECTION, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(20.0)))
        self.prefix = nn.Linear(PROJECTION, PREFIX * self.caption.config.hidden_size)

    def embed_text(self, ids, mask):
        return self.text_projection(self.text(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0])

    def embed_image(self, pixels):
        return self.image_projection(self.image(pixel_values=pixels).last_hidden_state[:, 0])

    def speech_frames(self, samples, mask):
        """The frames of each clip, and which of them are its own."""
        h = self.speech(samples, attention_mask=mask).last_hidden_state
        n = self.speech._get_feat_extract_output_lengths(mask.sum(1))
        return h, torch.arange(h.shape[1])[None] < n[:, None]

    def embed_speech(self, samples, mask):
        h, own = self.speech_frames(samples, mask)
        own = own.to(h.dtype).unsqueeze(-1)
        return self.speech_projection((h * own).sum(1) / own.sum(1))

    def prompt(self, shared):
        """The inputs of the captioner for embeddings: its prefix vectors, then the beginning token."""
        e = nn.functional.normalize(shared, dim=-1)
        p = self.prefix(e).view(len(e), PREFIX, -1)
        bos = self.caption.get_input_embeddings()(torch.full((len(e), 1), CLS))
        return torch.cat([p, bos.to(p.dtype)], 1)

    @torch.no_grad()
    def describe(self, shared, limit=20):
        """Greedy caption ids (the end token included) of each embedding."""
        out = self.caption.generate(inputs_embeds=self.prompt(shared), do_sample=False, max_new_tokens=limit,
                                    pad_token_id=PAD, eos_token_id=SEP)
        return [r[: r.index(SEP) + 1] if SEP in r else r for r in out.tolist()]


HEADS = ("text_projection.weight", "image_projection.weight", "speech_projection.weight", "logit_scale",
         "prefix.weight", "prefix.bias")


def save(model, path):
    """Writes the model as it ships: every weight rounded to bfloat16."""
    def dump(name, obj):
        with open(os.path.join(path, name), "w") as f:
            json.dump(obj, f, indent=2)
            f.write("\n")

    half = TriEncoder(model.text.config.vocab_size)
    half.load_state_dict(model.state_dict())
    half = half.to(torch.bfloat16)
    tok = make_tokenizer()
    for part in ("text", "image", "speech", "caption"):
        getattr(half, part).save_pretrained(os.path.join(path, part))
    for part in ("text", "caption"):
        tok.save(os.path.join(path, part, "tokenizer.json"), pretty=False)
    dump("text/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, "cls_token": "[CLS]",
        "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]",
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]})
    dump("caption/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, "bos_token": "[CLS]",
        "eos_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"})
    dump("image/preprocessor_config.json", {
        "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": IMAGE, "width": IMAGE},
        "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})
    dump("speech/preprocessor_config.json", {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "sampling_rate": RATE,
        "padding_value": 0.0, "padding_side": "right", "do_normalize": True, "return_attention_mask": True})
    GenerationConfig(bos_token_id=CLS, eos_token_id=SEP, pad_token_id=PAD, do_sample=False,
                     max_new_tokens=20).save_pretrained(os.path.join(path, "caption"))
    dump("config.json", {
        "model_type": "tri-encoder", "architectures": ["TriEncoder"], "projection_dim": PROJECTION, "text": "text",
        "image": "image", "speech": "speech", "caption": "caption", "prefix_length": PREFIX})
    state = half.state_dict()
    save_file({k: state[k].contiguous() for k in HEADS}, os.path.join(path, "heads.safetensors"))


def load(path):
    """The shipped model in float32, read by Transformers as any checkpoint is."""
    tok = Tokenizer.from_file(os.path.join(path, "text", "tokenizer.json"))
    m = TriEncoder(tok.get_vocab_size())
    for part, cls in (("text", BertModel), ("image", ViTModel)):
        setattr(m, part, cls.from_pretrained(os.path.join(path, part), add_pooling_layer=False, dtype=torch.float32))
    m.speech = Wav2Vec2Model.from_pretrained(os.path.join(path, "speech"), dtype=torch.float32)
    m.caption = MixtralForCausalLM.from_pretrained(os.path.join(path, "caption"), dtype=torch.float32)
    heads = {k: v.float() for k, v in load_file(os.path.join(path, "heads.safetensors")).items()}
    missing = m.load_state_dict(heads, strict=False)
    assert not missing.unexpected_keys
    return m.eval(), tok
