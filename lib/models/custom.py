"""Keras classes of our own. Importing this module imports TensorFlow: models do so when they are built."""

from lib.backend import keras, ops, tf


@keras.saving.register_keras_serializable("latent_report")
class PixelVariance(keras.layers.Layer):
    """Passes logits on unchanged and owns the Gaussian likelihood's one learned scalar, log sigma^2."""

    def build(self, input_shape):
        self.log_variance = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(-3.0), name="log_variance"
        )

    def call(self, logits):
        return logits


@keras.saving.register_keras_serializable("latent_report")
class ClassOfLatents(keras.layers.Layer):
    """Latents [B, Z] -> the same and their class as one-hot, [B, Z + classes]: the largest of the first `classes`
    latents says the class. So each class is equally likely under the prior, and a class-conditional generator still is
    a function of its latents."""

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes

    def call(self, latents):
        return ops.concatenate([latents, class_of(latents, self.classes)], axis=1)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


def class_of(latents, classes: int):
    """The class of latents [B, Z] as one-hot, [B, classes], float32."""
    return ops.one_hot(ops.argmax(latents[:, :classes], axis=1), classes)


class Spectral:
    """A layer whose kernel is divided by its largest singular value, so that it changes no distance by more than a
    factor of 1 (Miyato et al. 2018, algorithm 1): one step of the power method for each pass in training."""

    def build(self, input_shape):
        super().build(input_shape)
        normal = keras.initializers.RandomNormal()
        self.direction = self.add_weight(
            shape=(self._kernel.shape[-1],), initializer=normal, trainable=False, name="direction", dtype="float32"
        )

    def normalised_kernel(self, training):
        rows = ops.reshape(self._kernel.value, (-1, self._kernel.shape[-1]))
        fixed = ops.stop_gradient(rows)
        left = tf.math.l2_normalize(tf.linalg.matvec(fixed, self.direction.value))
        right = tf.math.l2_normalize(tf.linalg.matvec(fixed, left, transpose_a=True))
        if training:
            self.direction.assign(right)
        largest = tf.tensordot(left, tf.linalg.matvec(rows, right), 1)
        return ops.cast(self._kernel.value / largest, self.compute_dtype)

    def save_own_variables(self, store):  # Keras' Dense and Conv2D save kernel and bias only
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)


@keras.saving.register_keras_serializable("latent_report")
class SpectralDense(Spectral, keras.layers.Dense):
    """Dense with spectral normalisation, without an activation."""

    def call(self, inputs, training=False):
        outputs = ops.matmul(inputs, self.normalised_kernel(training))
        return outputs + self.bias if self.use_bias else outputs


@keras.saving.register_keras_serializable("latent_report")
class SpectralConv2D(Spectral, keras.layers.Conv2D):
    """Conv2D with spectral normalisation, without an activation."""

    def call(self, inputs, training=False):
        return ops.conv(inputs, self.normalised_kernel(training), self.strides, self.padding) + self.bias


class FusedAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) by TensorFlow's kernel of it: one pass over a weight's memory where Keras makes ten.

    The same formula and state as Keras' own, with which a step of the mlp VAE took 14 % longer on two cores, of the mlp
    GAN 5 %.
    """

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
