"""BERT, RoBERTa, XLM-RoBERTa and DistilBERT."""

import numpy as np

from common import Case, left_mask, right_mask, rng, tokens

ACTIVATIONS = [
    "gelu", "gelu_10", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_accurate",
    "hardswish", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu",
    "sqrtsoftplus", "swish", "tanh",
]  # fmt: skip


def labels(n):
    return {"id2label": {i: f"LABEL_{i}" for i in range(n)}, "label2id": {f"LABEL_{i}": i for i in range(n)}}


def config(**kw):
    c = dict(vocab_size=211, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80, max_position_embeddings=40)
    c.update(kw)
    return c


def distil_config(**kw):
    c = dict(vocab_size=211, dim=48, n_layers=3, n_heads=4, hidden_dim=80, max_position_embeddings=40)
    c.update(kw)
    return c


def text(name, vocab=211, batch=3, length=17, mask="right", types=2, pad=0):
    """input_ids, with an attention mask and token types if asked for."""
    r = rng(name + ".in")
    x = {"input_ids": tokens(r, batch, length, vocab)}
    if mask:
        m = left_mask(batch, length, r) if mask == "left" else right_mask(batch, length, r)
        if mask == "holes":
            m = (r.random((batch, length)) < 0.7).astype(np.int64)
            m[:, 0] = 1
        x["attention_mask"] = m
        x["input_ids"] = np.where(m == 1, x["input_ids"], pad)
    if types:
        x["token_type_ids"] = r.integers(0, types, (batch, length)).astype(np.int64)
    return x


def unprefix(prefix):
    """Strips the base model's prefix, as old checkpoints of heads lack it."""
    return lambda sd: {k.removeprefix(prefix): v for k, v in sd.items()}


def gamma_beta(sd):
    """The names that TensorFlow checkpoints had for the norms."""
    return {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v for k, v in sd.items()}


def extra(sd):
    """Adds tensors that real checkpoints carry and the class does not use."""
    import torch

    return {**sd, "embeddings.position_ids": torch.arange(40)[None], "cls.predictions.bias": torch.zeros(3)}


def untied(sd):
    """Writes the tied decoder too, as some checkpoints do."""
    key = next(k for k in sd if k.endswith("word_embeddings.weight"))
    return {**sd, "cls.predictions.decoder.weight": sd[key].clone(), "cls.predictions.decoder.bias": sd["cls.predictions.bias"].clone()}


def cases():
    yield Case("bert.model", "BertModel", config(), text("bert.model"))
    yield Case("bert.nomask", "BertModel", config(), text("bert.nomask", mask=""))
    yield Case("bert.idsonly", "BertModel", config(), text("bert.idsonly", mask="", types=0), hidden=False)
    yield Case("bert.leftpad", "BertModel", config(), text("bert.leftpad", mask="left"))
    yield Case("bert.holes", "BertModel", config(), text("bert.holes", mask="holes"), hidden=False)
    yield Case("bert.one", "BertModel", config(), text("bert.one", batch=1, length=1, mask=""))
    yield Case("bert.full", "BertModel", config(), text("bert.full", batch=2, length=40, mask="right"))
    yield Case("bert.batch9", "BertModel", config(), text("bert.batch9", batch=9, length=23), hidden=False)

    for a in ACTIVATIONS:
        yield Case(f"bert.act_{a}", "BertModel", config(hidden_act=a, num_hidden_layers=2), text(f"bert.act_{a}"), hidden=a < "h")
    yield Case("bert.act_prelu", "BertModel", config(hidden_act="prelu", num_hidden_layers=2), text("bert.act_prelu"))

    for hidden, heads in [(20, 4), (21, 3), (36, 3), (40, 2), (60, 5), (64, 1), (12, 12), (96, 6), (130, 2), (512, 2)]:
        n = f"bert.head{hidden // heads}"
        yield Case(n, "BertModel", config(hidden_size=hidden, num_attention_heads=heads, intermediate_size=37, num_hidden_layers=2), text(n), hidden=False)
    yield Case("bert.zero_layers", "BertModel", config(num_hidden_layers=0), text("bert.zero_layers"), hidden=False)
    yield Case("bert.eps", "BertModel", config(layer_norm_eps=0.1), text("bert.eps"))
    yield Case("bert.types5", "BertModel", config(type_vocab_size=5), text("bert.types5", types=5))
    yield Case("bert.types1", "BertModel", config(type_vocab_size=1), text("bert.types1", types=1), hidden=False)
    yield Case("bert.padid", "BertModel", config(pad_token_id=7), text("bert.padid", pad=7), hidden=False)
    yield Case("bert.decoder", "BertModel", config(is_decoder=True), text("bert.decoder"))
    yield Case("bert.decoder_nomask", "BertModel", config(is_decoder=True), text("bert.decoder_nomask", mask="", types=0), hidden=False)
    yield Case("bert.lmhead", "BertLMHeadModel", config(is_decoder=True), text("bert.lmhead"))
    yield Case("bert.lmhead_encoder", "BertLMHeadModel", config(is_decoder=False), text("bert.lmhead_encoder"), hidden=False)
    for t in ("relative_key", "relative_key_query", "absolute"):
        yield Case(f"bert.pos_{t}", "BertModel", config(), text(f"bert.pos_{t}"), keys={"position_embedding_type": t}, hidden=False)

    r = rng("bert.embeds")
    x = text("bert.embeds")
    x["inputs_embeds"] = r.standard_normal((3, 17, 48)).astype(np.float32)
    del x["input_ids"]
    yield Case("bert.inputs_embeds", "BertModel", config(), x)
    yield Case("roberta.inputs_embeds", "RobertaModel", config(type_vocab_size=1, pad_token_id=1), {"inputs_embeds": x["inputs_embeds"], "attention_mask": x["attention_mask"]})
    yield Case("distilbert.inputs_embeds", "DistilBertModel", distil_config(), {"inputs_embeds": x["inputs_embeds"]}, hidden=False)
    x = text("bert.positions")
    x["position_ids"] = r.integers(0, 40, (3, 17)).astype(np.int64)
    yield Case("bert.position_ids", "BertModel", config(), x)
    x = text("bert.positions1")
    x["position_ids"] = np.arange(17, 0, -1)[None].astype(np.int64)
    yield Case("bert.position_ids1", "BertModel", config(), x, hidden=False)
    x = text("roberta.positions", types=0)
    x["position_ids"] = r.integers(0, 40, (3, 17)).astype(np.int64)
    yield Case("roberta.position_ids", "RobertaModel", config(type_vocab_size=1, pad_token_id=1), x, hidden=False)

    for d in ("F16", "BF16", "F64"):
        yield Case(f"bert.{d.lower()}", "BertModel", config(), text(f"bert.{d}"), dtype=d)
        yield Case(f"bert.mlm_{d.lower()}", "BertForMaskedLM", config(), text(f"bert.mlm_{d}"), dtype=d, hidden=False)
    yield Case("bert.sharded", "BertModel", config(), text("bert.sharded"), shard="60KB", hidden=False)
    yield Case("bert.sharded_bf16", "BertForTokenClassification", config(**labels(4)), text("bert.sharded_bf16"), shard="30KB", dtype="BF16", hidden=False)

    # Checkpoints of one class run as another, with and without the prefix.
    for run in ("BertModel", "BertForMaskedLM", "BertForNextSentencePrediction"):
        yield Case(f"bert.pretraining_as_{run}", "BertForPreTraining", config(), text(f"bert.as_{run}"), run_as=run, hidden=False)
    yield Case("bert.prefixed_base", "BertForPreTraining", config(), text("bert.prefixed_base"), run_as="BertModel", by_architecture=True)
    yield Case("bert.unprefixed_head", "BertForSequenceClassification", config(**labels(3)), text("bert.unprefixed_head"), rename=unprefix("bert."), hidden=False)
    yield Case("bert.gamma_beta", "BertForSequenceClassification", config(**labels(3)), text("bert.gamma_beta"), rename=gamma_beta, hidden=False)
    yield Case("bert.extra_tensors", "BertModel", config(), text("bert.extra_tensors"), rename=extra, hidden=False)
    yield Case("bert.tied_twice", "BertForMaskedLM", config(), text("bert.tied_twice"), rename=untied, hidden=False)
    yield Case("bert.untied", "BertForMaskedLM", config(tie_word_embeddings=False), text("bert.untied"), hidden=False)
    yield Case("bert.few_keys", "BertModel", config(), text("bert.few_keys"), hidden=False,
               keys=dict.fromkeys(["hidden_act", "layer_norm_eps", "type_vocab_size", "pad_token_id", "transformers_version", "is_decoder", "use_cache"]))  # fmt: skip

    heads = [("PreTraining", 2), ("MaskedLM", 2), ("NextSentencePrediction", 2), ("SequenceClassification", 3), ("TokenClassification", 5), ("QuestionAnswering", 2)]
    for head, n in heads:
        yield Case(f"bert.{head}", f"BertFor{head}", config(**labels(n)), text(f"bert.{head}"), hidden=n > 2)
    yield Case("bert.seqcls_1label", "BertForSequenceClassification", config(**labels(1)), text("bert.seqcls_1label"), hidden=False)
    yield Case("bert.mlm_relu", "BertForMaskedLM", config(hidden_act="relu"), text("bert.mlm_relu"), hidden=False)
    x = {k: v.reshape(2, 3, 11) for k, v in text("bert.choice", batch=6, length=11).items()}
    yield Case("bert.choice", "BertForMultipleChoice", config(), x, hidden=False)

    for family, prefix in [("roberta", "Roberta"), ("xlmr", "XLMRoberta"), ("camembert", "Camembert")]:
        c = dict(type_vocab_size=1, pad_token_id=1, vocab_size=150)
        t = lambda n, **kw: text(n, vocab=150, types=0, pad=1, **kw)
        yield Case(f"{family}.model", f"{prefix}Model", config(**c), t(f"{family}.model"))
        yield Case(f"{family}.idsonly", f"{prefix}Model", config(**c), t(f"{family}.idsonly", mask=""), hidden=False)
        yield Case(f"{family}.leftpad", f"{prefix}Model", config(**c), t(f"{family}.leftpad", mask="left"), hidden=False)
        for head, n in heads[1:2] + heads[3:]:
            yield Case(f"{family}.{head}", f"{prefix}For{head}", config(**c, **labels(n)), t(f"{family}.{head}"), hidden=n > 3)
    yield Case("roberta.pads_unmasked", "RobertaModel", config(type_vocab_size=1, pad_token_id=1), {"input_ids": np.array([[0, 5, 1, 9, 2, 1, 1], [0, 8, 9, 7, 6, 4, 2]])})
    yield Case("roberta.padid0", "RobertaModel", config(type_vocab_size=1, pad_token_id=0), text("roberta.padid0", types=0), hidden=False)
    yield Case("roberta.full", "RobertaModel", config(type_vocab_size=1, pad_token_id=1, max_position_embeddings=42), text("roberta.full", types=0, length=40, pad=1), hidden=False)
    yield Case("roberta.causal", "RobertaForCausalLM", config(type_vocab_size=1, pad_token_id=1, is_decoder=True), text("roberta.causal", types=0, pad=1), hidden=False)
    yield Case("roberta.mlm_relu", "RobertaForMaskedLM", config(type_vocab_size=1, hidden_act="relu"), text("roberta.mlm_relu", types=0, pad=1), hidden=False)
    yield Case("roberta.types2", "RobertaModel", config(type_vocab_size=2, pad_token_id=1), text("roberta.types2", types=2, pad=1))

    t = lambda n, **kw: text(n, types=0, **kw)
    yield Case("distilbert.model", "DistilBertModel", distil_config(), t("distilbert.model"))
    yield Case("distilbert.idsonly", "DistilBertModel", distil_config(), t("distilbert.idsonly", mask=""), hidden=False)
    yield Case("distilbert.leftpad", "DistilBertModel", distil_config(), t("distilbert.leftpad", mask="left"), hidden=False)
    yield Case("distilbert.relu", "DistilBertModel", distil_config(activation="relu"), t("distilbert.relu"), hidden=False)
    yield Case("distilbert.sinusoidal", "DistilBertModel", distil_config(sinusoidal_pos_embds=True), t("distilbert.sinusoidal"), hidden=False)
    yield Case("distilbert.head7", "DistilBertModel", distil_config(dim=21, n_heads=3, hidden_dim=33), t("distilbert.head7"))
    for head, n in heads[1:2] + heads[3:]:
        yield Case(f"distilbert.{head}", f"DistilBertFor{head}", distil_config(**labels(n)), t(f"distilbert.{head}"), hidden=n > 3)
    yield Case("distilbert.base_of_head", "DistilBertForMaskedLM", distil_config(), t("distilbert.base_of_head"), run_as="DistilBertModel", hidden=False)
    x = {k: v.reshape(2, 3, 11) for k, v in t("distilbert.choice", batch=6, length=11).items()}
    yield Case("distilbert.choice", "DistilBertForMultipleChoice", distil_config(), x, hidden=False)

    x = text("bert.types_once")
    x["token_type_ids"] = x["token_type_ids"][:1]
    yield Case("bert.types_once", "BertModel", config(), x)
    x = text("bert.row_masked")
    x["attention_mask"][1] = 0
    yield Case("bert.row_masked", "BertModel", config(), x)
    for mask in ("right", "left", ""):
        x = text(f"bert.cross{mask}", mask=mask)
        x["encoder_hidden_states"] = r.standard_normal((3, 7, 48)).astype(np.float32)
        if mask:
            x["encoder_attention_mask"] = right_mask(3, 7, r) if mask == "right" else left_mask(3, 7, r)
        yield Case(f"bert.cross{mask}", "BertModel" if mask else "BertLMHeadModel", config(is_decoder=True, add_cross_attention=True), x)
    yield Case("bert.cross_unused", "BertModel", config(is_decoder=True, add_cross_attention=True), text("bert.cross_unused"), hidden=False)

    big = dict(vocab_size=1000, max_position_embeddings=512)
    yield Case("bert.base", "BertModel", big, text("bert.base", vocab=1000, batch=2, length=48), tol=2e-4, float64=False)


def golden():
    small = dict(vocab_size=37, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40, max_position_embeddings=14)
    distil = dict(vocab_size=37, dim=28, n_layers=2, n_heads=4, hidden_dim=40, max_position_embeddings=14)
    t = lambda n, **kw: text(n, vocab=37, batch=2, length=9, **kw)
    yield Case("bert.model", "BertModel", small, t("bert.model"), dtype="BF16")
    yield Case("bert.leftpad", "BertModel", {**small, "hidden_size": 20, "hidden_act": "gelu_new"}, t("bert.leftpad", mask="left"), dtype="F32")
    yield Case("bert.decoder", "BertModel", {**small, "hidden_size": 28, "is_decoder": True, "hidden_act": "silu"}, t("bert.decoder"), dtype="F16")
    yield Case("bert.pretraining", "BertForPreTraining", small, t("bert.pretraining"), dtype="F16", hidden=False)
    yield Case("bert.masked_lm", "BertForMaskedLM", {**small, "hidden_act": "relu"}, t("bert.masked_lm"), dtype="BF16", hidden=False)
    yield Case("bert.sequence_classification", "BertForSequenceClassification", {**small, **labels(3), "num_hidden_layers": 1}, t("bert.seqcls"), dtype="F16", hidden=False)
    yield Case("bert.token_classification", "BertForTokenClassification", {**small, **labels(5), "num_hidden_layers": 1}, t("bert.tokcls"), dtype="F16", hidden=False)
    yield Case("bert.next_sentence", "BertForNextSentencePrediction", {**small, "num_hidden_layers": 1}, t("bert.nsp"), dtype="F64", hidden=False)
    x = {k: v.reshape(1, 2, 9) for k, v in t("bert.choice").items()}
    yield Case("bert.multiple_choice", "BertForMultipleChoice", {**small, "num_hidden_layers": 1}, x, dtype="BF16", hidden=False)
    x = t("bert.cross")
    x["encoder_hidden_states"] = rng("bert.cross.e").standard_normal((2, 5, 28)).astype(np.float32)
    x["encoder_attention_mask"] = right_mask(2, 5, rng("bert.cross.m"))
    yield Case("bert.cross_attention", "BertLMHeadModel", {**small, "hidden_size": 28, "num_hidden_layers": 1, "is_decoder": True, "add_cross_attention": True}, x, dtype="F16")
    x = t("bert.embeds")
    x["inputs_embeds"] = rng("bert.embeds.x").standard_normal((2, 9, 20)).astype(np.float32)
    x["position_ids"] = np.arange(12, 3, -1)[None].astype(np.int64)
    del x["input_ids"]
    yield Case("bert.inputs_embeds", "BertModel", {**small, "hidden_size": 20, "num_hidden_layers": 1, "hidden_act": "mish"}, x, dtype="F16")
    yield Case("bert.sharded", "BertForTokenClassification", {**small, **labels(2), "num_hidden_layers": 1}, t("bert.sharded"), dtype="F16", shard="10KB", hidden=False)
    yield Case("bert.old_names", "BertForSequenceClassification", {**small, **labels(3), "num_hidden_layers": 1}, t("bert.old_names"), dtype="F16", rename=gamma_beta, run_as="BertModel", hidden=False)
    yield Case("bert.question_answering", "BertForQuestionAnswering", {**small, "num_hidden_layers": 1}, t("bert.qa"), dtype="F16", hidden=False)
    roberta = {**small, "type_vocab_size": 1, "pad_token_id": 1}
    yield Case("roberta.model", "RobertaModel", roberta, t("roberta.model", types=0, pad=1), dtype="F16")
    yield Case("roberta.sequence_classification", "RobertaForSequenceClassification", {**roberta, **labels(3), "num_hidden_layers": 1}, t("roberta.seqcls", types=0, pad=1), dtype="F16", hidden=False)
    yield Case("xlm_roberta.masked_lm", "XLMRobertaForMaskedLM", {**roberta, "num_hidden_layers": 1}, t("xlmr.masked_lm", types=0, pad=1), dtype="F16", hidden=False)
    yield Case("camembert.causal_lm", "CamembertForCausalLM", {**roberta, "num_hidden_layers": 1, "is_decoder": True, "tie_word_embeddings": False}, t("camembert.causal_lm", types=0, pad=1), dtype="BF16", hidden=False)
    yield Case("roberta.token_classification", "RobertaForTokenClassification", {**roberta, **labels(4), "num_hidden_layers": 1}, t("roberta.tokcls", types=0, pad=1, mask="left"), dtype="F16", hidden=False)
    yield Case("distilbert.question_answering", "DistilBertForQuestionAnswering", {**distil, "n_layers": 1, "activation": "relu"}, t("distilbert.qa", types=0), dtype="BF16", hidden=False)
    yield Case("distilbert.token_classification", "DistilBertForTokenClassification", {**distil, **labels(4), "n_layers": 1}, t("distilbert.tokcls", types=0, mask="left"), dtype="F16", hidden=False)
    yield Case("distilbert.model", "DistilBertModel", distil, t("distilbert.model", types=0), dtype="F16")
    yield Case("distilbert.masked_lm", "DistilBertForMaskedLM", {**distil, "n_layers": 1}, t("distilbert.masked_lm", types=0), dtype="F16", hidden=False)
    yield Case("distilbert.sequence_classification", "DistilBertForSequenceClassification", {**distil, **labels(3), "n_layers": 1}, t("distilbert.seqcls", types=0), dtype="F16", hidden=False)
