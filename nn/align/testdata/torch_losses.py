"""Prints what PyTorch gives for the vectors of align_test.go, in float64:

    python torch_losses.py

Run with torch 2.15.0."""

import torch

N, D, TEMPERATURE, BIAS = 3, 4, 0.5, -1.25
a = torch.tensor([[0.5, -1.0, 2.0, 0.25], [1.5, 0.75, -0.5, 1.0], [-0.25, 2.0, 1.0, -1.5]], dtype=torch.float64, requires_grad=True)
b = torch.tensor([[1.0, 0.5, -0.75, 2.0], [0.25, 1.25, 0.5, -1.0], [-2.0, 1.0, 0.5, 0.75]], dtype=torch.float64, requires_grad=True)
t = torch.tensor(TEMPERATURE, dtype=torch.float64, requires_grad=True)
bias = torch.tensor(BIAS, dtype=torch.float64, requires_grad=True)


def info_nce(a, b):
    s = a @ b.T / t
    each = torch.arange(N)
    return (torch.nn.functional.cross_entropy(s, each) + torch.nn.functional.cross_entropy(s.T, each)) / 2


def sigmoid(a, b):
    s = a @ b.T / t + bias
    return -torch.nn.functional.logsigmoid((2 * torch.eye(N, dtype=s.dtype) - 1) * s).sum(-1).mean()


def unit(loss):
    return lambda a, b: loss(torch.nn.functional.normalize(a, dim=1), torch.nn.functional.normalize(b, dim=1))


for name, loss in ("info_nce", info_nce), ("sigmoid", sigmoid), ("info_nce, unit rows", unit(info_nce)):
    for x in (a, b, t, bias):
        x.grad = None
    value = loss(a, b)
    value.backward()
    print(name, value.item())
    for x in (a, b, t, bias):
        print(" ", None if x.grad is None else [round(v, 9) for v in x.grad.flatten().tolist()])
