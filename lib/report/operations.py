"""A network as a list of operations that a page can compute: 8-bit weights, and nothing of Keras.

Everything is a flat list of numbers in C order, so that layers which only reshape are no operations at all. Batch
normalisation goes into the weights before it. `apply` computes with NumPy exactly what template/decoder.js computes.
"""

from collections.abc import Callable

import numpy as np

ACTIVATIONS: dict[str, Callable] = {  # of x and a parameter: the slope or height for negative numbers
    "relu": lambda x, a: np.maximum(x, 0),
    "leaky_relu": lambda x, a: np.where(x > 0, x, a * x),
    "elu": lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
    "tanh": lambda x, a: np.tanh(x),
    "sigmoid": lambda x, a: 1 / (1 + np.exp(-np.clip(x, -80, 80))),
    "softplus": lambda x, a: np.logaddexp(x, 0),
    "silu": lambda x, a: x / (1 + np.exp(-np.clip(x, -80, 80))),
}
DEFAULT = {"leaky_relu": 0.2, "elu": 1.0}  # Keras' parameters of functions that are given by name
BLOCK = 64  # rows of weights that are rounded before those that follow are changed


class UnknownLayerError(Exception):
    """A layer that is none of those which the page can compute; says which."""


# ---- from Keras ----------------------------------------------------------------------------------


def of(network) -> list[dict]:
    """The operations of a Keras network of one path from latents to images, with weights in float32.

    "linear" has "weights" [inputs, outputs] and "bias", "conv" weights [height, width, inputs, outputs] of the kernel,
    "affine" has "scale" and "bias", "classes" the "count" of `custom.ClassOfLatents`; each comes with all numbers that
    are needed to compute it.

    Raises:
        UnknownLayerError: as it says.
    """
    found: list[dict] = []
    for layer in network.layers:
        kind = type(layer).__name__
        if hasattr(layer, "layers"):
            found += of(layer)
        elif kind == "Dense":
            found.append({"op": "linear", "weights": _array(layer.kernel), "bias": _bias(layer)})
            found += _activation(layer.activation)
        elif kind in ("Conv2D", "Conv2DTranspose"):
            found += [_convolution(layer, kind), *_activation(layer.activation)]
        elif kind == "ClassOfLatents":
            found.append({"op": "classes", "count": layer.classes})
        elif kind == "BatchNormalization":
            _scaled(found, *_normalisation(layer))
        elif kind == "Rescaling":
            _scaled(found, np.atleast_1d(np.float32(layer.scale)), np.atleast_1d(np.float32(layer.offset)))
        elif kind != "InputLayer" and not _passes(layer):
            found += _activation(layer)
    return found


def _array(variable) -> np.ndarray:
    return np.asarray(variable, np.float32)


def _bias(layer) -> np.ndarray:
    return _array(layer.bias) if layer.use_bias else np.zeros(layer.kernel.shape[1], np.float32)


def _convolution(layer, kind: str) -> dict:
    """A convolution or its transpose. "rows" and "columns" say where the numbers of the input go: for each of its rows
    and each of the kernel's the output's row, or -1 where it has none."""
    plain = layer.data_format == "channels_last" and {*layer.dilation_rate} == {1} and getattr(layer, "groups", 1) == 1
    if not plain or getattr(layer, "output_padding", None):
        raise UnknownLayerError(f"{kind} {layer.name} with dilation, groups, output padding or channels first")
    before, after = layer.input.shape[1:], layer.output.shape[1:]
    weights, up = _array(layer.kernel), kind == "Conv2DTranspose"
    if up:
        weights = weights.transpose(0, 1, 3, 2)
    bias = _array(layer.bias) if layer.use_bias else np.zeros(after[2], np.float32)
    same = layer.padding == "same"
    targets = [_targets(before[i], after[i], weights.shape[i], layer.strides[i], up, same) for i in (0, 1)]
    shapes = {"from": [*before], "to": [*after]}
    return {"op": "conv", "weights": weights, "bias": bias, **shapes, "rows": targets[0], "columns": targets[1]}


def _targets(before: int, after: int, kernel: int, stride: int, up: bool, same: bool) -> list[int]:
    """Along one side: for each place of the input and of the kernel, the place in the output, or -1."""
    missing = max((before - 1) * stride + kernel - after, 0) if up else max((after - 1) * stride + kernel - before, 0)
    margin, found = (missing // 2 if same else 0), []
    for place in range(before):
        for tap in range(kernel):
            to = (place * stride + tap - margin) if up else (place + margin - tap) / stride
            found.append(int(to) if to == int(to) and 0 <= to < after else -1)
    return found


def _normalisation(layer) -> tuple[np.ndarray, np.ndarray]:
    """Batch normalisation in use, as a scale and a shift of each channel."""
    mean, variance = np.asarray(layer.moving_mean, float), np.asarray(layer.moving_variance, float)
    if layer.axis not in (-1, len(layer.input.shape) - 1):
        raise UnknownLayerError(f"BatchNormalization {layer.name} over another axis than the last")
    scale = (np.asarray(layer.gamma, float) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    shift = (np.asarray(layer.beta, float) if layer.center else 0.0) - mean * scale
    return scale, shift


def _scaled(found: list[dict], scale: np.ndarray, shift: np.ndarray) -> None:
    """Puts a scale and a shift of each channel into the weights before it, or after an activation behind it."""
    last = found[-1] if found else {"op": "activation"}
    if last["op"] == "activation":
        found.append({"op": "affine", "scale": np.float32(scale), "bias": np.float32(shift)})
        return
    name = "scale" if last["op"] == "affine" else "weights"
    count = max(len(last["bias"]), len(scale))  # a Dense layer before a reshape has one bias a pixel and channel
    scale, shift = np.resize(scale, count), np.resize(shift, count)
    last[name] = np.float32(last[name] * scale)
    last["bias"] = np.float32(np.resize(last["bias"], count) * scale + shift)


def _activation(function) -> list[dict]:
    """An activation, be it a function or a layer of its own."""
    kind = getattr(function, "__name__", type(function).__name__)
    name = {"LeakyReLU": "leaky_relu", "ELU": "elu", "ReLU": "relu", "swish": "silu"}.get(kind, kind)
    if kind == "Activation":
        return _activation(function.activation)
    if name == "linear":
        return []
    parameter = next((float(getattr(function, a)) for a in ("negative_slope", "alpha") if hasattr(function, a)), None)
    if kind == "ReLU":
        if function.max_value is not None or function.threshold:
            raise UnknownLayerError(f"ReLU {function.name} with a maximum or a threshold")
        name = "leaky_relu" if parameter else name
    if name not in ACTIVATIONS:
        raise UnknownLayerError(f"{kind} {getattr(function, 'name', '')}".strip())
    return [{"op": "activation", "name": name, "parameter": DEFAULT.get(name, 0) if parameter is None else parameter}]


def _passes(layer) -> bool:
    """Whether a layer leaves all numbers as they are, in their order, as reshaping and dropout in use do."""
    try:
        numbers = np.random.default_rng(0).normal(size=(2, *layer.input.shape[1:])).astype(np.float32)
        return np.array_equal(np.ravel(layer(numbers)), numbers.ravel())
    except (TypeError, ValueError, AttributeError):  # of several inputs, or used twice
        return False


# ---- in 8 bits -----------------------------------------------------------------------------------


def packed(operations: list[dict], levels: float, z: np.ndarray) -> tuple[list[dict], np.ndarray, np.ndarray]:
    """Operations with their arrays' sizes in place of the arrays, which follow one another in two flat ones.

    Args:
        levels: how fine the weights are: about so many steps from 0 to the largest of a layer.
        z: latents [N, Z] of the prior, for which the numbers shall be right.

    Returns:
        The operations, int8 weights, and float32 [scale, bias] of each operation, one number a column both; a small
        one, "exact", has its weights there too.
    """
    plain, weights, floats, x = [], [np.int8([])], [np.float32([])], np.asarray(z, np.float32)
    most = max((one["weights"].size for one in operations if "weights" in one), default=0)
    for one, following in zip(operations, [*operations[1:], {}], strict=True):
        after = _computed(one, x)
        plain.append({name: value for name, value in one.items() if not isinstance(value, np.ndarray)})
        if "weights" in one:
            matrix, bias = one["weights"].reshape(-1, one["weights"].shape[-1]), one["bias"]
            plain[-1] |= {"inputs": len(matrix), "outputs": len(bias)}
            if 32 * matrix.size < most:
                plain[-1]["exact"] = True
                floats += [np.ones(len(bias)), bias, matrix.ravel()]
            else:
                scale = _scale(matrix, after, following, levels)
                rounded, bias = _rounded(one, matrix, scale, x)
                weights.append(rounded.ravel())
                floats += [scale, bias]
        elif one["op"] == "affine":
            plain[-1] |= {"outputs": len(one["bias"])}
            floats += [one["scale"], one["bias"]]
        x = after
    return plain, np.concatenate(weights), shortened(np.concatenate(floats))


def shortened(floats: np.ndarray) -> np.ndarray:
    """float32 rounded to eleven bits, an error of at most 1 in 4,096: the others are zero, and take no room packed."""
    bits = floats.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(0x800)) & np.uint32(0xFFFFF000)).view(np.float32)


def _scale(matrix: np.ndarray, after: np.ndarray, following: dict, levels: float) -> np.ndarray:
    """The step between two weights of each column: the coarser, the less the activation lets through of an error, as of
    a pixel that is nearly always black."""
    finest = np.maximum(np.abs(matrix).max(axis=0), 1e-9) / 127
    through = np.ones(matrix.shape[1])
    if following.get("op") == "activation":
        after = after.reshape(-1, matrix.shape[1])
        slope = (_computed(following, after + 0.01) - _computed(following, after - 0.01)) / 0.02
        through = np.sqrt((slope**2).mean(axis=0))
        through = np.maximum(through / max(through.max(), 1e-9), 0.1)
    return np.maximum(127 * finest.max() / (levels * through), finest).astype(np.float32)


def _rounded(one: dict, matrix: np.ndarray, scale: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights [inputs, outputs] in steps of `scale`, and the bias.

    Row by row: what rounding a row does to the results is made up for by the rows that follow and by the bias, as far
    as the inputs go together (Frantar et al. 2023, arXiv:2210.17323). For trained decoders, errors are a third to a
    sixth of what they are when each weight is rounded by itself. Rows beyond a block learn of its errors all at once,
    which is faster (section 3.3 there, "lazy batch-updates").
    """
    rest, bias, taps = matrix.astype(np.float32), one["bias"], 1
    x = x.reshape(-1, one["from"][2] if one["op"] == "conv" else len(matrix))
    if one["op"] == "conv":  # each of the kernel's taps has the same inputs, and columns of its own
        taps = len(matrix) // x.shape[1]
        rest = rest.reshape(taps, x.shape[1], -1).transpose(1, 0, 2).reshape(x.shape[1], -1)
    else:
        x, rest = np.column_stack([x, np.ones(len(x), np.float32)]), np.concatenate([rest, bias[None]])
    count, scale = len(matrix) // taps, np.tile(scale, taps)
    together = (x.T @ x / len(x)).astype(float)
    together[np.diag_indices(len(together))] += 0.01 * np.trace(together) / len(together) + 1e-9
    shares = np.linalg.cholesky(np.linalg.inv(together)).T.astype(np.float32)
    found = np.zeros((count, rest.shape[1]), np.int8)
    for first in range(0, count, BLOCK):
        last = min(first + BLOCK, count)
        errors = np.empty_like(rest[first:last])
        for row, error in enumerate(errors, first):
            found[row] = np.clip(np.round(rest[row] / scale), -127, 127)
            error[:] = (rest[row] - found[row] * scale) / shares[row, row]
            rest[row + 1 : last] -= shares[row, row + 1 : last, None] * error
        rest[last:] -= shares[first:last, last:].T @ errors
    if one["op"] == "conv":
        return found.reshape(count, taps, -1).transpose(1, 0, 2).reshape(matrix.shape), bias
    return found, rest[count]


# ---- computed ------------------------------------------------------------------------------------


def apply(operations: list[dict], weights: np.ndarray, floats: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The network's numbers [N, P] for latents [N, Z], from what `packed` gives."""
    x, at, place = np.asarray(z, np.float32), 0, 0
    for one in operations:
        arrays = {}
        if outputs := one.get("outputs", 0):
            scale, bias = floats[place : place + 2 * outputs].reshape(2, outputs)
            arrays, place = {"scale": scale, "bias": bias}, place + 2 * outputs
        if size := one.get("inputs", 0) * outputs:
            if one.get("exact"):
                matrix, place = floats[place : place + size], place + size
            else:
                matrix, at = weights[at : at + size], at + size
            arrays["weights"] = matrix.reshape(-1, outputs) * scale
        x = _computed(one | arrays, x)
    return x


def _computed(one: dict, x: np.ndarray) -> np.ndarray:
    """One operation on [N, inputs]."""
    if one["op"] == "activation":
        return ACTIVATIONS[one["name"]](x, np.float32(one["parameter"])).astype(np.float32)
    if one["op"] == "classes":
        return np.column_stack([x, np.eye(one["count"], dtype=np.float32)[x[:, : one["count"]].argmax(axis=1)]])
    if one["op"] == "affine":
        return (x.reshape(len(x), -1, len(one["bias"])) * one["scale"] + one["bias"]).reshape(len(x), -1)
    return x @ one["weights"] + one["bias"] if one["op"] == "linear" else _convolved(one, x)


def _convolved(one: dict, x: np.ndarray) -> np.ndarray:
    height, width, channels = one["from"]
    x, out = x.reshape(-1, height, width, channels), np.tile(one["bias"], (len(x), *one["to"][:2], 1))
    rows, columns = np.reshape(one["rows"], (height, -1)), np.reshape(one["columns"], (width, -1))
    taps = one["weights"].reshape(rows.shape[1], columns.shape[1], channels, -1)
    for i, j in np.ndindex(*taps.shape[:2]):
        down, across = rows[:, i] >= 0, columns[:, j] >= 0
        part = x[:, down][:, :, across] @ taps[i, j]
        out[:, rows[down, i][:, None], columns[across, j]] += part
    return out.reshape(len(x), -1)


def images(numbers: np.ndarray, shape) -> np.ndarray:
    """Numbers [N, P] in [0, 1] -> uint8 [N, H, W, C], as a page draws them."""
    return np.round(255 * np.clip(numbers, 0, 1)).astype(np.uint8).reshape(-1, *shape)
