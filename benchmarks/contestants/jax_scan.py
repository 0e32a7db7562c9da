"""JAX: a whole epoch is one compiled `lax.scan` over shuffled indices of images in memory, with donated parameters."""

from protocol import CRITIC_STEPS, DROPOUT, LEAK, PENALTY, case, serve

case = case()
import time  # noqa: E402
from functools import partial  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax import lax, nn, random  # noqa: E402

IMPORTED = time.perf_counter()
HEIGHT, WIDTH, CHANNELS = case.shape
PIXELS = HEIGHT * WIDTH * CHANNELS
SMALL = (HEIGHT // 4, WIDTH // 4)
LAYOUT = ("NHWC", "HWIO", "NHWC")
glorot = nn.initializers.glorot_uniform()


def dense(key, inputs, outputs):
    return glorot(key, (inputs, outputs)), jnp.zeros(outputs)


def conv(key, inputs, outputs):
    return glorot(key, (4, 4, inputs, outputs)), jnp.zeros(outputs)


def apply(weights, x):
    return x @ weights[0] + weights[1]


def down(weights, x):
    return lax.conv_general_dilated(x, weights[0], (2, 2), "SAME", dimension_numbers=LAYOUT) + weights[1]


def up(weights, x):
    return lax.conv_transpose(x, weights[0], (2, 2), "SAME", dimension_numbers=LAYOUT) + weights[1]


def leaky(x):
    return nn.leaky_relu(x, LEAK)


def normalised(scale, x):
    """Batch normalisation, without the moving statistics, which training does not use."""
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    return leaky((x - mean) * lax.rsqrt(var + 1e-3) * scale[0] + scale[1])


def scale(channels):
    return jnp.ones(channels), jnp.zeros(channels)


def parameters(key):
    """{network: {layer: arrays}}"""
    keys = iter(random.split(key, 32))
    wide, small = case.width, SMALL[0] * SMALL[1]
    conv_net = case.network == "conv"
    if case.model == "vae":
        units = 64 * small if conv_net else PIXELS
        encoder = {"hidden": dense(next(keys), units, wide)}
        encoder |= {name: dense(next(keys), wide, case.latent_dim) for name in ("mean", "log_var")}
        decoder = {"hidden": dense(next(keys), case.latent_dim, wide)}
        if conv_net:
            encoder |= {"conv_1": conv(next(keys), CHANNELS, 32), "conv_2": conv(next(keys), 32, 64)}
            decoder |= {"image": dense(next(keys), wide, 64 * small)}
            decoder |= {"up_1": conv(next(keys), 64, 32), "up_2": conv(next(keys), 32, CHANNELS)}
        else:
            decoder |= {"pixels": dense(next(keys), wide, PIXELS)}
        return {"vae": {"encoder": encoder, "decoder": decoder}}
    generator = {"hidden": dense(next(keys), case.latent_dim, wide), "scale": scale(wide)}
    if conv_net:
        generator |= {"image": dense(next(keys), wide, 128 * small), "scale_1": scale(128), "scale_2": scale(64)}
        generator |= {"up_1": conv(next(keys), 128, 64), "up_2": conv(next(keys), 64, CHANNELS)}
        judge = {"conv_1": conv(next(keys), CHANNELS, 64), "conv_2": conv(next(keys), 64, 128)}
        judge |= {"score": dense(next(keys), 128 * small, 1)}
    else:
        generator |= {"hidden_2": dense(next(keys), wide, 512), "scale_1": scale(512)}
        generator |= {"pixels": dense(next(keys), 512, PIXELS)}
        judge = {"hidden_1": dense(next(keys), PIXELS, 512), "hidden_2": dense(next(keys), 512, 512)}
        judge |= {"score": dense(next(keys), 512, 1)}
    return {"judge": judge, "generator": generator}


def encode(p, pixels):
    x = pixels - 0.5
    if case.network == "conv":
        x = nn.relu(down(p["conv_2"], nn.relu(down(p["conv_1"], x))))
    x = nn.relu(apply(p["hidden"], x.reshape(len(x), -1)))
    return apply(p["mean"], x), apply(p["log_var"], x)


def decode(p, z):
    x = nn.relu(apply(p["hidden"], z))
    if case.network == "conv":
        x = nn.relu(apply(p["image"], x)).reshape(-1, *SMALL, 64)
        return up(p["up_2"], nn.relu(up(p["up_1"], x)))
    return apply(p["pixels"], x).reshape(-1, *case.shape)


def generate(p, z):
    x = normalised(p["scale"], z @ p["hidden"][0])
    if case.network == "conv":
        x = normalised(p["scale_1"], apply(p["image"], x).reshape(-1, *SMALL, 128))
        x = up(p["up_2"], normalised(p["scale_2"], up(p["up_1"], x)))
    else:
        x = apply(p["pixels"], normalised(p["scale_1"], x @ p["hidden_2"][0])).reshape(-1, *case.shape)
    return nn.sigmoid(x)


def judge(p, images, key):
    x = (2.0 if case.model == "gan" else 1.0) * (images - 0.5)
    if case.network == "conv":
        x = leaky(down(p["conv_2"], leaky(down(p["conv_1"], x)))).reshape(len(x), -1)
    else:
        x = x.reshape(len(x), -1)
        for name, own in zip(("hidden_1", "hidden_2"), random.split(key), strict=True):
            x = leaky(apply(p[name], x))
            if case.model == "gan":
                x = jnp.where(random.bernoulli(own, 1 - DROPOUT, x.shape), x / (1 - DROPOUT), 0.0)
    return apply(p["score"], x)


BETAS = {"vae": (0.9, 0.999), "gan": (0.5, 0.999), "wgan": (0.5, 0.9)}[case.model]


def adam(loss, state, *args):
    """One step of Adam (Kingma & Ba 2015) on a network's (parameters, m, v, t)."""
    p, m, v, t = state
    value, slope = jax.value_and_grad(loss)(p, *args)
    b1, b2 = BETAS
    m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, slope)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, slope)
    rate = 1e-3 * jnp.sqrt(1 - b2 ** (t + 1)) / (1 - b1 ** (t + 1))
    p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), p, m, v)
    return value, (p, m, v, t + 1)


def vae_loss(p, pixels, key):
    mean, log_var = encode(p["encoder"], pixels)
    logits = decode(p["decoder"], mean + jnp.exp(0.5 * log_var) * random.normal(key, mean.shape))
    nll = (jnp.maximum(logits, 0) - logits * pixels + jnp.log1p(jnp.exp(-jnp.abs(logits)))).sum((1, 2, 3))
    kl = 0.5 * (jnp.exp(log_var) + mean**2 - 1 - log_var).sum(1)
    return (nll + kl).mean()


def d_loss(p, real, fake, key):
    one, two = random.split(key)
    return 0.5 * (nn.softplus(-judge(p, real, one)).mean() + nn.softplus(judge(p, fake, two)).mean())


def critic_loss(p, real, fake, key):
    between = fake + random.uniform(key, (len(real), 1, 1, 1)) * (real - fake)
    slope = jax.grad(lambda x: judge(p, x, key).sum())(between)
    penalty = ((jnp.sqrt((slope**2).sum((1, 2, 3)) + 1e-12) - 1) ** 2).mean()
    return judge(p, fake, key).mean() - judge(p, real, key).mean() + PENALTY * penalty


def g_loss(p, judge_p, z, key):
    scores = judge(judge_p, generate(p, z), key)
    return nn.softplus(-scores).mean() if case.model == "gan" else -scores.mean()


def step(states, images, key):
    pixels = images.astype(jnp.float32) / 255.0
    keys = random.split(key, 3)
    if case.model == "vae":
        loss, states["vae"] = adam(vae_loss, states["vae"], pixels, keys[0])
        return states, loss
    z = random.normal(keys[0], (case.batch, case.latent_dim))
    if case.model == "gan":
        fake = generate(states["generator"][0], z)
        loss, states["judge"] = adam(d_loss, states["judge"], pixels, fake, keys[1])
    else:

        def critic(state, inputs):
            real, key = inputs
            one, two = random.split(key)
            fake = generate(states["generator"][0], random.normal(one, z.shape))
            loss, state = adam(critic_loss, state, real, fake, two)
            return state, loss

        minibatches = pixels.reshape(CRITIC_STEPS, case.batch, *case.shape)
        states["judge"], loss = lax.scan(critic, states["judge"], (minibatches, random.split(keys[1], CRITIC_STEPS)))
    other, states["generator"] = adam(g_loss, states["generator"], states["judge"][0], z, keys[2])
    return states, loss.mean() + other


@partial(jax.jit, donate_argnums=0)
def epoch(states, images, key):
    order = random.permutation(key, len(images)).reshape(-1, case.images_a_step)
    keys = random.split(key, len(order))
    return lax.scan(lambda states, some: step(states, images[some[0]], some[1]), states, (order, keys))


networks = parameters(random.key(0))
copy = lambda p: jax.tree.map(jnp.zeros_like, p)  # noqa: E731
states = {name: (p, copy(p), copy(p), jnp.float32(0)) for name, p in networks.items()}
images = jnp.asarray(case.images())
number = 0


def run():
    global states, number
    number += 1
    states, losses = epoch(states, images, random.key(number))
    losses.block_until_ready()


serve(IMPORTED, run)
