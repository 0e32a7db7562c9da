"""A Wasserstein GAN (Arjovsky et al. 2017, arXiv:1701.07875; with a gradient penalty, Gulrajani et al. 2017,
arXiv:1704.00028): all that is particular to it."""

from __future__ import annotations

from typing import Literal

from lib.backend import Lazy, keras, ops, tf
from lib.models import layers
from lib.models.base import Adversarial, per_image, unit_range
from lib.models.description import Description, Settings, integer, positive

custom = Lazy("lib.models.custom")

ASSIGNED = 2000  # images on each side of an exact W1


class WGANSettings(Settings):
    """A WGAN's settings. `lipschitz` says how the critic is kept near Lipschitz 1: "clip" (weights into [-clip, clip],
    Arjovsky et al. 2017, algorithm 1) or "gp" (gradient penalty times gp_weight, Gulrajani et al. 2017, algorithm 1).
    """

    lipschitz: Literal["clip", "gp"]
    clip: positive(10)
    gp_weight: positive(1000)
    n_critic: integer(1, 100)


# ---- losses --------------------------------------------------------------------------------------


def emd_estimate(real_scores, fake_scores):
    """mean critic(real) - mean critic(fake), [B, 1] both -> scalar (Arjovsky et al. 2017, eq. 2). Not W1 itself: it is
    off by the critic's unknown Lipschitz constant (section 4.2 there); a negative one says the critic has failed."""
    return ops.mean(real_scores) - ops.mean(fake_scores)


def gradient_penalty(critic, real, fake, mix):
    """(||grad critic(x)||_2 - 1)^2 at x between real and fake images -> scalar (Gulrajani et al. 2017, eq. 3).

    Args:
        real, fake: [B, H, W, C] in [0, 1].
        mix: [B, 1, 1, 1], uniform in [0, 1]: one per image.
    """
    between = mix * real + (1.0 - mix) * fake
    with tf.GradientTape() as tape:
        tape.watch(between)
        scores = critic(between, training=True)
    squared = per_image(ops.square(tape.gradient(scores, between)))
    return ops.mean(ops.square(ops.sqrt(squared + 1e-12) - 1.0))  # the root's own gradient is infinite at zero


# ---- the model -----------------------------------------------------------------------------------


class WGAN(Adversarial):
    """A generator against a critic, whose scores say how far generated images are from real ones.

    A batch holds `n_critic` minibatches: the critic takes one step on each, then the generator takes one.
    """

    Settings = WGANSettings
    images_per_second = (7_000, 2_100)
    estimate_name = "emd"

    @classmethod
    def describe(cls, settings):
        clipped = settings.lipschitz == "clip"
        kept = f"weights clipped at {settings.clip:g}" if clipped else f"gradient penalty {settings.gp_weight:g}"
        steps = f"{settings.n_critic} critic step{'s' * (settings.n_critic > 1)} per generator step"
        return Description(
            title="WGAN",
            columns={"critic_loss": "critic", "g_loss": "generator", "emd": "EMD estimate"},
            curve=(("emd",),),
            losses=(("critic_loss", "g_loss"),),
            units=("critic's own units",),
            levels={"zero": 0.0},
            headline="emd_test",
            metrics={f"emd_{split}": f"EMD, {split}" for split in ("train", "validation", "test")}
            | {
                "w1_bound": "W₁, lower bound (pixels)",
                "w1_bound_loose": "W₁, looser bound (pixels)",
                "w1": "W₁, as a check (pixels)",
            },
            figures=("emd",),
            optimizer="RMSprop" if clipped else "Adam",
            assumptions={
                "layers of the WGAN": f"{settings.network}; see the tables of layers above",
                "how the critic is kept Lipschitz": f"{kept}, {steps}",
            },
            steps=("generator", "critic"),
        )

    def build_generator(self):
        return layers.generator(self.image_shape, self.settings)

    def build_judge(self):
        """The critic: images [B, H, W, C] in [0, 1] -> scores [B, 1] on the scale of the data."""
        return layers.judge(self.image_shape, self.settings, "critic", scale=1.0)  # distances stay those of the pixels

    def make_optimizers(self):
        rate, names = self.settings.learning_rate, ("critic", "generator")
        if self.settings.lipschitz == "clip":  # momentum made training unstable (Arjovsky et al. 2017, section 4.3)
            return {name: keras.optimizers.RMSprop(rate) for name in names}
        return {name: custom.FusedAdam(rate, beta_1=0.5, beta_2=0.9) for name in names}

    @classmethod
    def images_a_step(cls, settings):
        return settings.batch_size * settings.n_critic

    # -- the algorithm

    def critic_step(self, real):
        """One update of the critic on real images [B, H, W, C] in [0, 1] -> its loss and the EMD estimate."""
        count = real.shape[0]
        fake = self.generator(self.latents(count, self.training_seed), training=True)
        with tf.GradientTape() as tape:
            emd = emd_estimate(self.judge(real, training=True), self.judge(fake, training=True))
            loss = -emd
            if self.settings.lipschitz == "gp":
                mix = keras.random.uniform((count, 1, 1, 1), seed=self.training_seed)
                loss += self.settings.gp_weight * gradient_penalty(self.judge, real, fake, mix)
        self.update(self.judge, tape, loss)
        if self.settings.lipschitz == "clip":
            for weight in self.judge.trainable_weights:
                weight.assign(ops.clip(weight, -self.settings.clip, self.settings.clip))
        return loss, emd

    def generator_step(self, count):
        """One update of the generator on `count` new latents -> its loss."""
        latents = self.latents(count, self.training_seed)
        with tf.GradientTape() as tape:
            loss = -ops.mean(self.judge(self.generator(latents, training=True), training=True))
        self.update(self.generator, tape, loss)
        return loss

    def train_step(self, images):
        count = images.shape[0] // self.settings.n_critic
        minibatches = ops.reshape(unit_range(images), (self.settings.n_critic, count, *images.shape[1:]))
        critic_losses, emds = tf.map_fn(
            self.critic_step, minibatches, parallel_iterations=1, fn_output_signature=(tf.float32, tf.float32)
        )
        g_loss = self.generator_step(count)
        return self.report(critic_loss=ops.mean(critic_losses), g_loss=g_loss, emd=ops.mean(emds))

    def test_step(self, images):
        fake = self.generator(self.latents(images.shape[0], self.testing_seed), training=False)
        fake_scores = self.judge(fake, training=False)
        emd = emd_estimate(self.judge(unit_range(images), training=False), fake_scores)
        return self.report(critic_loss=-emd, g_loss=-ops.mean(fake_scores), emd=emd)

    # -- numbers

    def estimate(self, real, fake):
        return emd_estimate(real, fake)

    def numbers(self, dataset, card):
        """The critic's EMD estimate on each split, the exact W1 of finite samples, and what a clipped critic certifies.

        The estimate is not W1 (Arjovsky et al. 2017, section 4.2); divided by the critic's Lipschitz constant it is a
        lower bound of W1. W1 is in units of a pixel's range, as the critic sees images; it is biased upward at any such
        n.
        """
        from lib.scores import estimates

        own = super().numbers(dataset, card)
        count = min(ASSIGNED, len(card.held_out), len(dataset.x_test))
        real, held_out = estimates.some(dataset.x_test, count), estimates.some(card.held_out, count)
        fake = card.images(self, count)
        found = {"w1": estimates.w1(estimates.rows(real), estimates.rows(fake))}
        others = {"real": held_out, "blurred": estimates.damaged(held_out, estimates.SEED)["blurred"]}
        own["references"]["w1"] = {
            name: estimates.w1(estimates.rows(real), estimates.rows(images)) for name, images in others.items()
        }
        if self.settings.lipschitz == "clip" and self.settings.network == "mlp":
            kernels = [layer.get_weights()[0] for layer in self.judge.layers if isinstance(layer, keras.layers.Dense)]
            emd = float(emd_estimate(self.judged(real), self.judged(fake)))
            found["w1_bound"] = emd / estimates.lipschitz_bound(kernels)
            found["w1_bound_loose"] = emd / estimates.loose_lipschitz_bound(kernels, self.settings.clip)
        own["metrics"] |= found
        own["samples_n"] |= dict.fromkeys(found, count)
        return own
