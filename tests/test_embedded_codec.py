"""The profile `embedded` with the weights that ship: exact pictures, prefixes, layers, batches."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from extreme_pictures import extreme_pictures

from codec.base import CodecError, EncodedImage, Image, ReceivedLayer, ReceivedPart
from codec.convolution import TrainableConv
from codec.embedded.bin_engine import decoder_input, start_decoder
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.fitted import FittedCodec
from codec.embedded.networks import (
    PlanePredictor,
    Size,
    TrainableLevelBias,
    exact_predictor,
    network_integers,
)
from codec.embedded.profile import STAND_INS, EmbeddedProfile
from codec.embedded.schedule import LAYER_NAMES
from codec.embedded.walk import Walk
from codec.picture_header import unpack_picture_header
from codec.profile import load_profile
from testbed.evaluation.metrics import psnr_db
from testbed.images import load_images


@pytest.fixture(scope="module")
def codec() -> EmbeddedCodec:
    return EmbeddedCodec(load_profile("embedded"))


@pytest.fixture(scope="module")
def samples() -> list[Image]:
    return [image.pixels for image in load_images("samples32", Path())[::3]]


@pytest.fixture(scope="module")
def encoded(codec, samples) -> list[EncodedImage]:
    return codec.encode_batch(samples)


def stream_of(encoded: EncodedImage) -> bytes:
    return b"".join(layer.data for layer in encoded.layers)


def first_bytes(stream: bytes, count: int) -> list[ReceivedLayer]:
    return [ReceivedLayer(stream[:count], complete=False)]


def whole(encoded: EncodedImage, count: int | None = None) -> list[ReceivedLayer]:
    return [layer.whole for layer in encoded.layers[:count]]


def shown(codec: EmbeddedCodec, received: list[list[ReceivedLayer]]) -> list[Image | None]:
    return [each.image for each in codec.decode_batch(received)]


def mean_psnr(originals: list[Image], pictures: list[Image | None]) -> float:
    """Exact pictures count as 60 dB, none at all as mid-grey."""
    pairs = zip(originals, pictures, strict=True)
    shown = [(o, np.full_like(o, 128) if p is None else p) for o, p in pairs]
    return float(np.mean([min(psnr_db(o, p), 60) for o, p in shown]))


# ----------------------------------------------------------------------------------- exactness


def test_all_layers_give_the_exact_pictures(codec, samples, encoded) -> None:
    for sample, result in zip(samples, codec.decode_batch([*map(whole, encoded)]), strict=True):
        assert result.layers_decoded == 9
        assert np.array_equal(result.image, sample)


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 7, 8, 13, 33])
def test_any_size_and_content_is_exact(codec, height) -> None:
    random = np.random.default_rng(height)
    pictures = []
    for width in (1, 2, 4, 6, 9, 17):
        noise = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
        y, x = np.mgrid[:height, :width]
        checks = np.stack([(x + y) % 2, (x + y + 1) % 2, x % 2], axis=-1) * 255
        pictures += [
            noise,
            np.repeat(noise[..., :1], 3, axis=2),
            np.zeros_like(noise),
            np.full_like(noise, 255),
            checks.astype(np.uint8),
            (noise // 255 * 255).astype(np.uint8),
        ]
    encoded = codec.encode_batch(pictures)
    for each in encoded:
        assert 1 <= len(each.layers) <= 9
        assert all(layer.data for layer in each.layers)
        assert {layer.name for layer in each.layers} <= set(LAYER_NAMES)
        assert each.payload_bits == 8 * len(stream_of(each))
    for picture, found in zip(pictures, shown(codec, [*map(whole, encoded)]), strict=True):
        assert np.array_equal(found, picture)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (32, 32), (40, 24), (100, 3)])
def test_extreme_pictures_are_exact_in_colour_and_grey(codec, size) -> None:
    coloured = list(extreme_pictures(*size))
    pictures = [*coloured, *(np.repeat(each[..., :1], 3, axis=2) for each in coloured)]
    encoded = codec.encode_batch(pictures)
    for picture, found in zip(pictures, shown(codec, [*map(whole, encoded)]), strict=True):
        assert np.array_equal(found, picture)


def test_flat_pictures_take_few_bytes(codec) -> None:
    for value in (0, 128, 255):
        (flat,) = codec.encode_batch([np.full((32, 32, 3), value, np.uint8)])
        assert len(stream_of(flat)) < 200
        assert np.ptp(shown(codec, [whole(flat)])[0]) == 0


def test_grey_pictures_pay_for_no_colour(codec, samples) -> None:
    greys = [np.repeat(sample[..., 1:2], 3, axis=2) for sample in samples[:6]]
    # One value of one pixel makes a picture a coloured one; its luma stays nearly the same.
    twins = [grey.copy() for grey in greys]
    for twin in twins:
        twin[5, 6, 2] ^= 1
    cheap, dear = codec.encode_batch(greys), codec.encode_batch(twins)
    for grey, twin in zip(cheap, dear, strict=True):
        assert len(stream_of(grey)) < len(stream_of(twin))
    noise = np.random.default_rng(0).integers(-3, 4, (6, 32, 32, 3))
    noisy = [np.clip(grey.astype(int) + n, 0, 255) for grey, n in zip(greys, noise, strict=True)]
    for grey, other in zip(
        cheap, codec.encode_batch([each.astype(np.uint8) for each in noisy]), strict=True
    ):
        assert len(stream_of(grey)) < 0.6 * len(stream_of(other))


def test_grey_pictures_are_shown_without_colour_wherever_they_are_cut(codec, samples) -> None:
    grey = np.repeat(samples[0][..., 1:2], 3, axis=2)
    stream = stream_of(codec.encode_batch([grey])[0])
    cuts = range(3, len(stream), 40)
    for picture in shown(codec, [first_bytes(stream, cut) for cut in cuts]):
        if picture is not None:
            assert np.array_equal(picture, np.repeat(picture[..., :1], 3, axis=2))


# ------------------------------------------------------------------------------------ prefixes


def test_every_prefix_of_a_stream_decodes(codec, samples) -> None:
    picture = samples[3][:15, :18]
    stream = stream_of(codec.encode_batch([picture])[0])
    results = codec.decode_batch([first_bytes(stream, n) for n in range(len(stream) + 1)])
    seen = [n for n, result in enumerate(results) if result.image is not None]
    # From some byte on, all of them; the header alone shows nothing.
    assert seen == list(range(seen[0], len(stream) + 1))
    assert 5 < seen[0] < 12
    assert all(results[n].image.shape == picture.shape for n in seen)
    errors = [np.mean((results[n].image.astype(float) - picture) ** 2) for n in seen]
    assert errors[-1] == 0
    assert min(errors[:-1]) > 0
    # A byte may make a picture worse, but a twelfth of the stream does not.
    means = [part.mean() for part in np.array_split(np.array(errors), 12)]
    assert means == sorted(means, reverse=True)


def bins_told(codec: EmbeddedCodec, stream: bytes, height: int, width: int) -> list[tuple]:
    """(pass, how much it tells) that the first 0, 1, ... bytes of a stream reach."""
    header = unpack_picture_header(stream, codec.bitstream_version, allow=7)
    data = [decoder_input(stream[header.bytes_used : n]) for n in range(len(stream) + 1)]
    predictor = codec.profile.predictor_for(height, width, reversible=True)
    walk = Walk(codec.profile, predictor, len(data), height, width, grey=header.grey)
    coders, members = [start_decoder(each) for each in data], list(range(len(data)))
    reached: list[tuple] = [(len(walk.passes), 0)] * len(data)
    for number, step in enumerate(walk.passes):
        going = walk.decode(step, [coders[b] for b in members], [data[b] for b in members])
        told = np.count_nonzero(walk.symbols[..., step.kind.channels :], axis=(1, 2, 3))
        for i, b in enumerate(members):
            if not going[i]:
                reached[b] = (number, int(told[i]))
        walk.keep([i for i, each in enumerate(going) if each])
        members = [b for i, b in enumerate(members) if going[i]]
        if not members:
            break
    return reached


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (9, 7)])
def test_every_prefix_of_extreme_pictures_decodes_and_tells_more(codec, size) -> None:
    pictures = extreme_pictures(*size)[[0, 2, 3, -3, -2]]
    for picture, encoded in zip(pictures, codec.encode_batch(list(pictures)), strict=True):
        stream = stream_of(encoded)
        reached = bins_told(codec, stream, *size)
        assert reached == sorted(reached)
        assert reached[-1][0] == max(reached)[0] > reached[0][0]
        results = codec.decode_batch([first_bytes(stream, n) for n in range(len(stream) + 1)])
        seen = [n for n, result in enumerate(results) if result.image is not None]
        assert seen == list(range(seen[0], len(stream) + 1))
        assert all(results[n].image.shape == picture.shape for n in seen)
        assert np.array_equal(results[-1].image, picture)


def test_quality_rises_with_every_further_byte_on_average(codec, samples, encoded) -> None:
    streams = [stream_of(each) for each in encoded]
    means = []
    for count in (8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 700, 1000, 1400, 2000):
        pictures = shown(codec, [first_bytes(stream, count) for stream in streams])
        means.append(mean_psnr(samples, pictures))
    assert means == sorted(set(means))
    # About 1 bit per pixel; with a codec that draws nothing from its base it is below 20.
    assert means[5] > 24


def test_a_prefix_is_the_same_however_it_is_cut_into_layers(codec, encoded) -> None:
    random = np.random.default_rng(0)
    for each in encoded[:3]:
        stream = stream_of(each)
        for count in random.integers(2, len(stream), 4):
            expected = codec.decode_batch([first_bytes(stream, count)])[0]
            # The first layer holds the header, here of one byte, and none is empty.
            cuts = np.unique(random.integers(1, count, random.integers(1, 15)))
            places = [0, *cuts.tolist(), int(count)]
            pieces = [ReceivedLayer(stream[a:b], b < count) for a, b in pairwise(places)]
            natural, left = [], int(count)
            for layer in each.layers:
                natural.append(ReceivedLayer(layer.data[:left], len(layer.data) <= left))
                left -= len(natural[-1].data)
                if left == 0:
                    break
            for received in (pieces, natural):
                (found,) = codec.decode_batch([received])
                assert (found.image is None) == (expected.image is None)
                assert found.image is None or np.array_equal(found.image, expected.image)
            assert found.layers_decoded == (
                sum(piece.complete for piece in natural) if found.image is not None else 0
            )


def test_what_follows_a_gap_is_not_used(codec, encoded) -> None:
    layers = whole(encoded[0])
    cut = ReceivedLayer(layers[1].data[:20], complete=False)
    expected = codec.decode_batch([[layers[0], cut]])[0]
    found = codec.decode_batch([[layers[0], cut, *layers[2:]]])[0]
    assert np.array_equal(found.image, expected.image)
    assert found.layers_decoded == expected.layers_decoded == 1
    damaged = ReceivedLayer(layers[1].data[:20] + bytes(50), True, intact_bytes=20)
    found = codec.decode_batch([[layers[0], damaged, *layers[2:]]])[0]
    assert np.array_equal(found.image, expected.image)
    assert found.layers_decoded == 1


# -------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize("count", range(1, 10))
def test_fewer_layers_are_the_beginning_of_all(codec, samples, encoded, count) -> None:
    few = EmbeddedCodec(codec.profile, layers=count)
    short = few.encode_batch(samples[:6])
    for some, every in zip(short, encoded, strict=False):
        assert [layer.name for layer in some.layers] == list(LAYER_NAMES[:count])
        assert [layer.data for layer in some.layers[:-1]] == [
            layer.data for layer in every.layers[: count - 1]
        ]
        # The last one ends so that all of its bins are certain.
        assert 0 <= len(stream_of(some)) - len(stream_of_first(every, count)) <= 2
    pictures = shown(few, [*map(whole, short)])
    first = shown(codec, [whole(each, count) for each in encoded[:6]])
    quality, same = mean_psnr(samples[:6], pictures), mean_psnr(samples[:6], first)
    # A few bins less or more; the estimator does not see quite the same at a level's end and at
    # the beginning of the next.
    assert abs(quality - same) < 0.3
    assert all(r.layers_decoded == count for r in codec.decode_batch([*map(whole, short)]))


def stream_of_first(encoded: EncodedImage, count: int) -> bytes:
    return b"".join(layer.data for layer in encoded.layers[:count])


def test_every_further_layer_improves_the_mean_quality(codec, samples, encoded) -> None:
    means = []
    for count in range(1, 10):
        means.append(mean_psnr(samples, shown(codec, [whole(each, count) for each in encoded])))
    assert means == sorted(set(means))
    assert means[0] > 18
    assert means[-1] == 60


@pytest.mark.parametrize("layers", [0, 10, -1])
def test_other_numbers_of_layers_are_refused(codec, layers) -> None:
    with pytest.raises(CodecError, match="1 to 9 layers"):
        EmbeddedCodec(codec.profile, layers=layers)


# ------------------------------------------------------------------------------------- batches


def test_threads_and_batches_change_no_byte(codec, samples, encoded) -> None:
    some = samples[:5]
    assert [codec.encode_batch([each])[0] for each in some] == encoded[:5]
    mixed = [samples[7][:9, :30], *some[::-1], np.repeat(some[0][..., :1], 3, axis=2)]
    assert codec.encode_batch(mixed)[1:6] == encoded[:5][::-1]
    torch.set_num_threads(2)
    try:
        assert codec.encode_batch(some) == encoded[:5]
        again = shown(codec, [first_bytes(stream_of(each), 300) for each in encoded[:5]])
    finally:
        torch.set_num_threads(1)
    alone = [shown(codec, [first_bytes(stream_of(each), 300)])[0] for each in encoded[:5]]
    assert np.array_equal(again, alone)


def test_a_stream_cut_at_forty_places_is_the_cuts_one_by_one(codec, samples) -> None:
    stream = stream_of(codec.encode_batch([samples[2][:13, :16]])[0])
    cuts = [len(stream) * k // 40 for k in range(40)]
    together = shown(codec, [first_bytes(stream, cut) for cut in cuts])
    for cut, picture in zip(cuts, together, strict=True):
        (alone,) = shown(codec, [first_bytes(stream, cut)])
        assert (picture is None) == (alone is None)
        assert alone is None or np.array_equal(picture, alone)


# ----------------------------------------------------------------- predictors for some pictures


def of_predictors(profile: EmbeddedProfile, **chosen: str | PlanePredictor) -> EmbeddedProfile:
    """The profile with these predictors only; a name stands for the one that it has."""
    predictors = {
        name: profile.predictors[each] if isinstance(each, str) else each
        for name, each in chosen.items()
    }
    return replace(profile, predictors=predictors)


@pytest.fixture(scope="module")
def with_photographs(codec) -> EmbeddedCodec:
    """With a small predictor for them that knows nothing."""
    torch.manual_seed(3)
    sizes = Size(16, 1, 8), Size(8, 1, 8)
    network = PlanePredictor(TrainableConv, TrainableLevelBias, *sizes).eval()
    photographs = exact_predictor(network_integers(network))
    return EmbeddedCodec(
        of_predictors(
            codec.profile, predictor="predictor", reversible="reversible", photographs=photographs
        )
    )


@pytest.fixture(scope="module")
def large(samples) -> Image:
    """65 x 66 pixels: just more than are taken for a thumbnail."""
    found: Image = np.tile(samples[0], (3, 3, 1))[:65, :66]
    return found


def test_only_large_pictures_use_the_predictor_of_photographs(
    codec, with_photographs, samples, large
) -> None:
    small = [samples[0], np.tile(samples[1], (2, 2, 1)), large[:62]]
    assert with_photographs.encode_batch(small) == codec.encode_batch(small)
    (ours,), (theirs,) = with_photographs.encode_batch([large]), codec.encode_batch([large])
    # It predicts worse.
    assert len(stream_of(ours)) > 1.05 * len(stream_of(theirs))
    # In one batch with others each picture has its own.
    mixed = with_photographs.encode_batch([samples[0], large, small[1]])
    assert mixed[1] == ours
    pictures = shown(with_photographs, [whole(each) for each in mixed])
    for picture, found in zip([samples[0], large, small[1]], pictures, strict=True):
        assert np.array_equal(found, picture)
    # Who decodes with the other predictor sees something else, and raises nothing.
    (wrong,) = shown(codec, [whole(ours)])
    assert wrong is None or not np.array_equal(wrong, large)


def test_reversible_streams_use_the_predictor_for_them(codec, with_photographs, samples) -> None:
    """And no others do; grey pictures and fitted streams included."""
    other = with_photographs.profile.predictors["photographs"]
    both = of_predictors(codec.profile, predictor="predictor", reversible=other)
    only = {name: of_predictors(codec.profile, predictor=each)
            for name, each in (("first", "predictor"), ("other", other))}  # fmt: skip
    images = [samples[0], np.repeat(samples[1][..., :1], 3, axis=2)]
    for name, reversible in (("other", True), ("first", False)):
        ours, theirs = (EmbeddedCodec(p, reversible=reversible) for p in (both, only[name]))
        encoded = ours.encode_batch(images)
        assert encoded == theirs.encode_batch(images)
        received = [whole(each) for each in encoded]
        pairs = zip(shown(ours, received), shown(theirs, received), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs)
    ours, theirs = FittedCodec(both), FittedCodec(only["first"])
    assert ours.encode_batch(images, 200) == theirs.encode_batch(images, 200)


def test_the_same_weights_under_that_name_change_nothing(codec, large) -> None:
    without = EmbeddedCodec(of_predictors(codec.profile, predictor="predictor"))
    names = dict.fromkeys(STAND_INS, "predictor")
    twin = EmbeddedCodec(of_predictors(codec.profile, **names))
    assert twin.encode_batch([large]) == without.encode_batch([large])


@pytest.mark.parametrize("grey", [False, True])
def test_slices_of_a_photograph_use_it_too(with_photographs, large, grey) -> None:
    """Though each is as small as a thumbnail; and from one slice alone the decoder knows."""
    picture = np.repeat(large[..., :1], 3, axis=2) if grey else large
    sliced = EmbeddedCodec(with_photographs.profile, slice_side=32)
    (encoded,) = sliced.encode_batch([picture])
    used = EmbeddedCodec(of_predictors(sliced.profile, predictor="photographs"), 9, 32)
    assert used.encode_batch([picture]) == [encoded]
    (found,) = shown(with_photographs, [whole(encoded)])
    assert np.array_equal(found, picture)
    received = []
    for layer in encoded.layers:
        start = sum(layer.parts[:4])
        data = layer.data[start : start + layer.parts[4]]
        received.append(ReceivedLayer(data, True, parts=(ReceivedPart(4, data, True),)))
    (found,) = shown(with_photographs, [received])
    assert found.shape == picture.shape
    assert np.array_equal(found[32:64, 32:64], picture[32:64, 32:64])


def test_prefixes_of_photographs_decode(with_photographs, large) -> None:
    (encoded,) = with_photographs.encode_batch([large])
    stream = stream_of(encoded)
    cuts = [len(stream) * k // 12 for k in range(13)]
    pictures = shown(with_photographs, [first_bytes(stream, cut) for cut in cuts])
    assert pictures[0] is None
    errors = [np.mean((each.astype(float) - large) ** 2) for each in pictures[1:]]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == 0
