"""PyTorch, twice: `torch_loader` as in most tutorials (one image at a time through PIL and ToTensor, a DataLoader,
loss.item() at each step), and `torch_lean` with everything in its favour (images in one uint8 tensor, fused Adam,
channels_last, the generator run once per step)."""

from protocol import DROPOUT, LEAK, PENALTY, case, serve

case = case()
import time  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

IMPORTED = time.perf_counter()
torch.set_num_threads(case.threads)
torch.manual_seed(0)
LEAN = case.contestant == "torch_lean"
HEIGHT, WIDTH, CHANNELS = case.shape
PIXELS = HEIGHT * WIDTH * CHANNELS
SMALL = (HEIGHT // 4, WIDTH // 4)
IMAGE = (CHANNELS, HEIGHT, WIDTH)


def down(first, second, active):
    return [nn.Conv2d(CHANNELS, first, 4, 2, 1), active(), nn.Conv2d(first, second, 4, 2, 1), active(), nn.Flatten()]


def up(units, first, second, after):
    return [
        nn.Linear(units, first * SMALL[0] * SMALL[1]),
        nn.Unflatten(1, (first, *SMALL)),
        *after(first),
        nn.ConvTranspose2d(first, second, 4, 2, 1),
        *after(second),
        nn.ConvTranspose2d(second, CHANNELS, 4, 2, 1),
    ]


def leaky():
    return nn.LeakyReLU(LEAK)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        conv = case.network == "conv"
        units = 64 * SMALL[0] * SMALL[1] if conv else PIXELS
        body = down(32, 64, nn.ReLU) if conv else [nn.Flatten()]
        self.body = nn.Sequential(*body, nn.Linear(units, case.width), nn.ReLU())
        self.mean, self.log_var = nn.Linear(case.width, case.latent_dim), nn.Linear(case.width, case.latent_dim)

    def forward(self, pixels):
        hidden = self.body(pixels - 0.5)
        return self.mean(hidden), self.log_var(hidden)


def decoder():
    hidden = [nn.Linear(case.latent_dim, case.width), nn.ReLU()]
    if case.network == "conv":
        return nn.Sequential(*hidden, *up(case.width, 64, 32, lambda channels: [nn.ReLU()]))
    return nn.Sequential(*hidden, nn.Linear(case.width, PIXELS), nn.Unflatten(1, IMAGE))


def generator():
    hidden = [nn.Linear(case.latent_dim, case.width, bias=False), nn.BatchNorm1d(case.width), leaky()]
    if case.network == "conv":
        hidden += up(case.width, 128, 64, lambda channels: [nn.BatchNorm2d(channels), leaky()])
    else:
        hidden += [nn.Linear(case.width, 512, bias=False), nn.BatchNorm1d(512), leaky()]
        hidden += [nn.Linear(512, PIXELS), nn.Unflatten(1, IMAGE)]
    return nn.Sequential(*hidden, nn.Sigmoid())


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        if case.network == "conv":
            self.body = nn.Sequential(*down(64, 128, leaky), nn.Linear(128 * SMALL[0] * SMALL[1], 1))
        else:
            drop = [nn.Dropout(DROPOUT)] if case.model == "gan" else []
            layers = [nn.Linear(PIXELS, 512), leaky(), *drop, nn.Linear(512, 512), leaky(), *drop]
            self.body = nn.Sequential(nn.Flatten(), *layers, nn.Linear(512, 1))
        self.scale = 2.0 if case.model == "gan" else 1.0

    def forward(self, images):
        return self.body(self.scale * (images - 0.5))


def adam(network, betas=(0.9, 0.999)):
    options = {"fused": True} if LEAN else {}
    return torch.optim.Adam(network.parameters(), lr=1e-3, betas=betas, **options)


def placed(network):
    return network.to(memory_format=torch.channels_last) if LEAN and case.network == "conv" else network


def latents(count):
    return torch.randn(count, case.latent_dim)


class VAE:
    def __init__(self):
        self.encoder, self.decoder = placed(Encoder()), placed(decoder())
        self.adam = adam(nn.ModuleList([self.encoder, self.decoder]))

    def step(self, pixels):
        mean, log_var = self.encoder(pixels)
        logits = self.decoder(mean + torch.exp(0.5 * log_var) * torch.randn_like(mean))
        nll = F.binary_cross_entropy_with_logits(logits, pixels, reduction="sum") / len(pixels)
        kl = 0.5 * (log_var.exp() + mean.square() - 1 - log_var).sum(1).mean()
        loss = nll + kl
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss, nll, kl


class GAN:
    def __init__(self):
        self.generator, self.judge = placed(generator()), placed(Judge())
        self.adams = [adam(network, (0.5, 0.999)) for network in (self.judge, self.generator)]

    def step(self, real):
        fake = self.generator(latents(len(real)))
        d_loss = 0.5 * (F.softplus(-self.judge(real)).mean() + F.softplus(self.judge(fake.detach())).mean())
        self.adams[0].zero_grad()
        d_loss.backward()
        self.adams[0].step()
        self.judge.requires_grad_(not LEAN)  # its gradients are not needed here; tutorials compute them nevertheless
        g_loss = F.softplus(-self.judge(fake)).mean()
        self.adams[1].zero_grad()
        g_loss.backward()
        self.adams[1].step()
        self.judge.requires_grad_(True)
        return d_loss, g_loss


class WGAN(GAN):
    def __init__(self):
        super().__init__()
        self.adams = [adam(network, (0.5, 0.9)) for network in (self.judge, self.generator)]

    def step(self, images):
        losses = [self.critic_step(real) for real in images.split(case.batch)]
        self.judge.requires_grad_(not LEAN)
        g_loss = -self.judge(self.generator(latents(case.batch))).mean()
        self.adams[1].zero_grad()
        g_loss.backward()
        self.adams[1].step()
        self.judge.requires_grad_(True)
        return *losses, g_loss

    def critic_step(self, real):
        with torch.no_grad():
            fake = self.generator(latents(len(real)))
        between = torch.lerp(fake, real, torch.rand(len(real), 1, 1, 1)).requires_grad_(True)
        (slope,) = torch.autograd.grad(self.judge(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        loss = self.judge(fake).mean() - self.judge(real).mean() + PENALTY * penalty
        self.adams[0].zero_grad()
        loss.backward()
        self.adams[0].step()
        return loss


model = {"vae": VAE, "gan": GAN, "wgan": WGAN}[case.model]()
images = torch.from_numpy(case.images()).permute(0, 3, 1, 2)  # in memory still [N, H, W, C]


class Images(torch.utils.data.Dataset):
    """What torchvision.datasets.MNIST and CIFAR10 do with each image, from arrays in memory, with ToTensor()."""

    def __init__(self):
        self.images = case.images()[..., 0] if CHANNELS == 1 else case.images()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = Image.fromarray(self.images[index])
        array = np.array(image, copy=True).reshape(HEIGHT, WIDTH, CHANNELS)
        return torch.from_numpy(array).permute(2, 0, 1).contiguous().to(torch.float32).div(255)


loader = torch.utils.data.DataLoader(Images(), case.images_a_step, shuffle=True, drop_last=True)


def lean_epoch():
    for indices in torch.randperm(len(images)).split(case.images_a_step):
        pixels = images.permute(0, 2, 3, 1)[indices].permute(0, 3, 1, 2) / 255.0
        model.step(pixels if case.network == "conv" else pixels.contiguous())


def loader_epoch():
    sums = 0.0
    for pixels in loader:
        sums += sum(loss.item() for loss in model.step(pixels))


serve(IMPORTED, lean_epoch if LEAN else loader_epoch)
