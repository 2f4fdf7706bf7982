// Package bert is BERT and the encoders of its shape: RoBERTa, XLM-RoBERTa and
// DistilBERT, with the heads that Hugging Face puts on them.
//
// Papers: Devlin et al. 2018, arXiv:1810.04805 (BERT); Liu et al. 2019,
// arXiv:1907.11692 (RoBERTa); Conneau et al. 2019, arXiv:1911.02116 (XLM-R);
// Sanh et al. 2019, arXiv:1910.01108 (DistilBERT). Reference:
// transformers 5.23, models/{bert,roberta,xlm_roberta,distilbert}.
//
// With is_decoder attention is causal, and with add_cross_attention each layer
// reads encoder_hidden_states after its own attention.
//
// Left out, refused by name: relative position embeddings
// (position_embedding_type), which transformers 5 has dropped too.
package bert
