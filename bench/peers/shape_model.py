"""OPT, LLaMA and RoBERTa from a config.json in plain PyTorch: what shape_steps.py times where transformers is not installed.

The layers and shapes are those of the papers; attention is torch's scaled_dot_product_attention with the padding as a mask, as
transformers runs it. Weights are random. logits(x) gives the vocabulary's logits of hidden states.
"""
import torch
from torch import nn
from torch.nn import functional


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * y.to(x.dtype)


def rotate(x, positions, theta=10000.0):
    """Rotary positions on x (batch, heads, tokens, head_dim)."""
    half = x.shape[-1] // 2
    rate = theta ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = positions[:, None, :, None].float() * rate
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        family, width = config["model_type"], config["hidden_size"]
        self.heads, self.family = config["num_attention_heads"], family
        bias = family != "llama"
        ffn = config["ffn_dim" if family == "opt" else "intermediate_size"]
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=bias) for _ in range(4))
        self.up, self.down = nn.Linear(width, ffn, bias=bias), nn.Linear(ffn, width, bias=bias)
        self.gate = nn.Linear(width, ffn, bias=False) if family == "llama" else None
        self.norm1, self.norm2 = norm_of(config), norm_of(config)

    def attend(self, x, positions, mask):
        def split(y):
            return y.view(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        if self.family == "llama":
            q, k = rotate(q, positions), rotate(k, positions)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o(out.transpose(1, 2).reshape(x.shape))

    def mlp(self, x):
        if self.family == "llama":
            return self.down(functional.silu(self.gate(x)) * self.up(x))
        return self.down((functional.relu if self.family == "opt" else functional.gelu)(self.up(x)))

    def forward(self, x, positions, mask):
        if self.family == "roberta":
            x = self.norm1(x + self.attend(x, positions, mask))
            return self.norm2(x + self.mlp(x))
        x = x + self.attend(self.norm1(x), positions, mask)
        return x + self.mlp(self.norm2(x))


def norm_of(config):
    width = config["hidden_size"]
    return RMSNorm(width, config["rms_norm_eps"]) if config["model_type"] == "llama" else nn.LayerNorm(width)


class ShapeModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.family, width, vocab = config["model_type"], config["hidden_size"], config["vocab_size"]
        self.token = nn.Embedding(vocab, width)
        self.offset = 2 if self.family in ("opt", "roberta") else 0
        rows = config["max_position_embeddings"] + (2 if self.family == "opt" else 0)
        self.position = nn.Embedding(rows, width) if self.family != "llama" else None
        self.segment = nn.Embedding(1, width) if self.family == "roberta" else None
        self.embed_norm = norm_of(config) if self.family == "roberta" else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config["num_hidden_layers"]))
        self.final_norm = norm_of(config) if self.family != "roberta" else None
        self.decoder = nn.Linear(width, vocab, bias=False) if self.family == "llama" else None
        if self.family == "roberta":
            self.head_dense, self.head_norm, self.head_bias = nn.Linear(width, width), norm_of(config), nn.Parameter(torch.zeros(vocab))

    def forward(self, ids, mask):
        """Hidden states (batch, tokens, width); mask (batch, tokens) is 1 at tokens, 0 at padding."""
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        x = self.token(ids)
        if self.position is not None:
            x = x + self.position(positions + self.offset)
        if self.segment is not None:
            x = self.embed_norm(x + self.segment.weight[0])
        seen = mask[:, None, None, :].bool()
        if self.family != "roberta":
            n = ids.shape[1]
            seen = seen & torch.ones(n, n, dtype=torch.bool, device=ids.device).tril()
            seen = seen | torch.eye(n, dtype=torch.bool, device=ids.device)  # a row of padding sees itself, so that it is finite
        for block in self.blocks:
            x = block(x, positions, seen)
        return x if self.final_norm is None else self.final_norm(x)

    def logits(self, x):
        if self.family == "roberta":
            x = self.head_norm(functional.gelu(self.head_dense(x)))
            return functional.linear(x, self.token.weight, self.head_bias)
        return functional.linear(x, self.token.weight) if self.decoder is None else self.decoder(x)
