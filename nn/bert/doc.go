// Package bert is BERT and the encoders of its shape: RoBERTa, XLM-RoBERTa and
// DistilBERT, with the heads that Hugging Face puts on them.
//
// Papers: Devlin et al. 2018, arXiv:1810.04805 (BERT); Liu et al. 2019,
// arXiv:1907.11692 (RoBERTa); Conneau et al. 2019, arXiv:1911.02116 (XLM-R);
// Sanh et al. 2019, arXiv:1910.01108 (DistilBERT). Reference:
// transformers 5.23, models/{bert,roberta,xlm_roberta,distilbert}.
//
// Left out, refused by name: cross attention (add_cross_attention), relative
// position embeddings (position_embedding_type), which transformers 5 has
// dropped too.
package bert
