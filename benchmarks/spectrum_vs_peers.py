"""How fast and how small is the spectrum, next to bare Hessian-vector products and to the three
nearest packages?

    python benchmarks/spectrum_vs_peers.py              # speed: 7M ResNet-18, batch 64, fp32
    python benchmarks/spectrum_vs_peers.py --variants   # double backward, unchecked, four probes
    python benchmarks/spectrum_vs_peers.py --bf16       # bfloat16 products and their error
    python benchmarks/spectrum_vs_peers.py --memory     # peak memory of each at 16 and 64 steps
    python benchmarks/spectrum_vs_peers.py --large      # 103M, batch 8, 64 steps, 90 % pruned
    python benchmarks/spectrum_vs_peers.py --cuda       # speed on a GPU, both ways, no peers

The peers come with `pip install -e '.[peers]'`; one that is missing is left out and named in the
JSON. Floor: the same products as `torch.autograd.grad` through one retained graph, on full-shaped
vectors, and nothing else.
"""

import itertools
import sys
import time

import torch
from protocol import environment, interleave, own_peak, peak_memory, ratios, save
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.networks.resnet import resnet18
from qdescent.learning.parallel.ranks import computing_on
from qdescent.linalg.operator import product_error

PRODUCTS = 20
VARIANT_PRODUCTS = 5  # four probes make four times as many


def problem(widths=(48, 96, 208, 400), batch=64, density=None, device="cpu"):
    """A smooth ResNet-18 on random images and labels: the cost does not depend on what the images
    show.
    """
    generator = torch.Generator().manual_seed(0)
    network = resnet18(widths).eval().to(device)
    data = (
        torch.randn(batch, 3, 32, 32, generator=generator).to(device),
        torch.randint(0, 100, (batch,), generator=generator).to(device),
    )
    mask = None if density is None else qd.magnitude_mask(network, density)
    return qd.Task(network, cross_entropy, data), qd.ParameterSpace(network, mask)


def bare_products(task, space, steps):
    """The floor."""
    weights = [w.detach().requires_grad_() for w in task.network.parameters()]
    loss = task.loss_with(dict(zip(space.names, weights, strict=True)))
    gradient = torch.autograd.grad(loss, weights, create_graph=True)
    vector = [torch.randn_like(w) for w in weights]
    for _ in range(steps):
        torch.autograd.grad(gradient, weights, vector, retain_graph=True)


def batched_products(task, space, steps, probes=4):
    """Four products in one backward pass by vmap (`is_grads_batched`), and nothing else: what one
    could do instead of columns.
    """
    weights = [w.detach().requires_grad_() for w in task.network.parameters()]
    loss = task.loss_with(dict(zip(space.names, weights, strict=True)))
    gradient = torch.autograd.grad(loss, weights, create_graph=True)
    vectors = [torch.randn(probes, *w.shape) for w in weights]
    for _ in range(steps):
        torch.autograd.grad(gradient, weights, vectors, retain_graph=True, is_grads_batched=True)


def ours(task, space, steps, probes=1, **how):
    """Stochastic Lanczos quadrature of this package."""
    return qd.spectral_density(hessian(task, space, **how), steps=steps, probes=probes)


def pyhessian_density(task, space, steps):
    """PyHessian's, with a stand-in, at no cost, for the `torch.eig` that PyTorch has removed."""
    from pyhessian import hessian as peer

    torch.eig = lambda T, eigenvectors: (torch.linalg.eigh(T)[0][:, None], torch.linalg.eigh(T)[1])
    peer(task.network, torch.nn.CrossEntropyLoss(), data=task.data, cuda=False).density(
        iter=steps, n_v=1
    )


def eigenthings(task, space, steps):
    """pytorch-hessian-eigenthings, its Lanczos iteration as it comes (re-orthogonalised)."""
    import hessian_eigenthings as peer

    operator = peer.HessianOperator(
        task.network, [task.data], peer.supervised_loss(torch.nn.CrossEntropyLoss())
    )
    start = torch.randn(space.n)
    peer.lanczos_tridiagonal(operator, start, steps)


def curvlinops_products(task, space, steps):
    """curvlinops has no Lanczos for this: its bare products."""
    from curvlinops import HessianLinearOperator

    weights = [w for w in task.network.parameters() if w.requires_grad]
    operator = HessianLinearOperator(
        task.network, torch.nn.CrossEntropyLoss(), weights, [task.data], check_deterministic=False
    )
    vector = torch.randn(space.n)
    for _ in range(steps):
        operator @ vector


PEERS = {
    "pyhessian": pyhessian_density,
    "hessian_eigenthings": eigenthings,
    "curvlinops": curvlinops_products,
}


def installed_peers():
    """The peers that can be imported."""
    found = {}
    for module, work in PEERS.items():
        try:
            __import__(module)
            found[module] = work
        except ImportError as error:
            print(f"without {module}: {error}")
    return found


def speed(device="cpu"):
    """Interleaved times of 20 products, as ratios to the floor and to ours."""
    task, space = problem(device=device)
    contenders = {
        "bare products": lambda: bare_products(task, space, PRODUCTS),
        "qdescent": lambda: ours(task, space, PRODUCTS),
    }
    if device == "cpu":
        for name, work in installed_peers().items():
            contenders[name] = lambda work=work: work(task, space, PRODUCTS)
    else:
        contenders["qdescent, double backward"] = lambda: ours(
            task, space, PRODUCTS, method="double-backward"
        )
    seconds = interleave(contenders)
    content = {
        "question": (
            "Seconds of 20 Hessian products inside a spectrum: 7M smooth ResNet-18, batch 64, all"
            " weights, one probe, fp32"
        ),
        "weights": space.n,
        "seconds": seconds,
        "ratio_to_bare_products": ratios(seconds, "bare products"),
        "ratio_to_qdescent": ratios(seconds, "qdescent"),
        "environment": environment("pyhessian", "hessian-eigenthings", "curvlinops-for-pytorch"),
    }
    save("spectrum_speed", content)


def variants():
    """Double backward, no check of the operator, and four probes in one block, next to one probe by
    Taylor series.
    """
    task, space = problem()
    peers = {name: work for name, work in installed_peers().items() if name == "pyhessian"}
    contenders = {
        "1 probe": lambda: ours(task, space, VARIANT_PRODUCTS),
        "1 probe, double backward": lambda: ours(
            task, space, VARIANT_PRODUCTS, method="double-backward"
        ),
        # nothing is compared: the rest is what the check costs
        "1 probe, unchecked": lambda: ours(
            task, space, VARIANT_PRODUCTS, method="taylor", check=False
        ),
        "4 probes": lambda: ours(task, space, VARIANT_PRODUCTS, probes=4),
        **{
            name: lambda work=work: work(task, space, VARIANT_PRODUCTS)
            for name, work in peers.items()
        },
        "4 bare products by vmap": lambda: batched_products(task, space, VARIANT_PRODUCTS),
    }
    seconds = interleave(contenders)
    for name in ("4 probes", "4 bare products by vmap"):
        seconds[name] = [s / 4 for s in seconds[name]]  # per 5 products, like the others
    content = {
        "question": (
            "Seconds of 5 Hessian products by how they are done: 7M smooth ResNet-18, batch 64, all"
            " weights"
        ),
        "seconds": seconds,
        "ratio_to_one_probe": ratios(seconds, "1 probe"),
        "ratio_to_four_probes": ratios(seconds, "4 probes"),
        "environment": environment("pyhessian"),
    }
    save("spectrum_variants", content)


def bfloat16():
    """Products in bfloat16, which go by double backward, next to float32 ones by either route, and
    their error.
    """
    task, space = problem()
    double = "double-backward"
    contenders = {
        "float32": lambda: ours(task, space, VARIANT_PRODUCTS),
        "float32, double backward": lambda: ours(task, space, VARIANT_PRODUCTS, method=double),
        "bfloat16": lambda: ours(task, space, VARIANT_PRODUCTS, precision=torch.bfloat16),
    }
    seconds = interleave(contenders)
    error = product_error(
        hessian(task, space, precision=torch.bfloat16),
        hessian(task, space),
        torch.randn(space.n, 2),
    )
    content = {
        "question": (
            "Seconds of 5 Hessian products in bfloat16 and float32, and their error: 7M smooth"
            " ResNet-18, batch 64"
        ),
        "seconds": seconds,
        "ratio_to_float32": ratios(seconds, "float32"),
        "relative_error_of_a_product": {"mean": error[0], "max": error[1]},
        "environment": environment(),
    }
    save("spectrum_bf16", content)


def memory():
    """Peak resident memory of one process a contender, 16 and 64 steps."""
    table = {}
    for name in ("nothing", "bare", "ours", *installed_peers()):
        table[name] = {
            steps: peak_memory(__file__, "--one", name, str(steps)) for steps in (16, 64)
        }
        print(
            f"{name:<22}",
            {steps: f"{peak / 2**30:.2f} GiB" for steps, peak in table[name].items()},
            flush=True,
        )
    names = ("pyhessian", "hessian-eigenthings", "curvlinops-for-pytorch")
    question = (
        "Peak resident bytes by Lanczos steps: 7M smooth ResNet-18, batch 8, all weights, one"
        " probe, fp32"
    )
    save(
        "spectrum_memory",
        {"question": question, "peak_bytes": table, "environment": environment(*names)},
    )


def one(name, steps):
    """The body of one memory measurement."""
    task, space = problem(batch=8)
    if name != "nothing":
        {"bare": bare_products, "ours": ours, **PEERS}[name](task, space, steps)


def large(steps=64):
    """The spectrum of a pruned network of 103 million weights on this machine."""
    start = time.perf_counter()
    task, space = problem((192, 384, 784, 1552), batch=8, density=0.1)
    before = own_peak()
    ticks = []
    spectrum = qd.spectral_density(
        hessian(task, space),
        steps=steps,
        probes=1,
        on_step=lambda state: ticks.append(time.perf_counter()),
    )
    gaps = sorted(b - a for a, b in itertools.pairwise(ticks))
    content = {
        "question": (
            "Can 64 Lanczos steps at 103M weights, batch 8, 90 % pruned, run on a small machine?"
        ),
        "weights": space.total,
        "kept": space.n,
        "steps": steps,
        "peak_bytes": own_peak(),
        "peak_bytes_before_lanczos": before,
        "stored_basis_would_need_bytes": 4 * space.total * steps,
        "seconds": time.perf_counter() - start,
        "median_seconds_a_step": gaps[len(gaps) // 2],
        "lambda_min": spectrum.lambda_min,
        "lambda_max": spectrum.lambda_max,
        "environment": environment(),
    }
    save("spectrum_103M", content)


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(sys.argv[2], int(sys.argv[3]))
    elif "--memory" in sys.argv:
        memory()
    elif "--variants" in sys.argv:
        variants()
    elif "--bf16" in sys.argv:
        bfloat16()
    elif "--large" in sys.argv:
        large()
    elif "--cuda" in sys.argv:
        with computing_on("cuda") as device:
            speed(device.type)
    else:
        speed()
