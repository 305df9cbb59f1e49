"""Sentences on channels and packet losses, for a methods section."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from testbed.reporting.paper.scenario_facts import Part, parts, values
from testbed.reporting.paper.wording import listed, plural

Alike = Sequence[Part]

_ANTENNAS = {
    "1x1": "one antenna at each end",
    "1x2": "one transmit and two receive antennas with maximal-ratio combining [@brennan1959]",
    "1x4": "one transmit and four receive antennas with maximal-ratio combining [@brennan1959]",
    "2x1_alamouti": "two transmit antennas and one receive antenna with Alamouti's code "
    "[@alamouti1998]",
    "2x2_alamouti": "two transmit and two receive antennas with Alamouti's code [@alamouti1998]",
}
_BLOCKS = {"packet": "a packet", "image": "all packets of a picture"}
_REALISATIONS = {
    "packet": "each packet meets a realisation of its own",
    "image": "the packets of a picture follow one another on one realisation",
}


def channel_sentences(labels: Sequence[str], fading_blocks: Sequence[str]) -> Iterator[str]:
    """labels: in canonical form. fading_blocks: of the link."""
    for name, alike in parts("channel", labels).items():
        made = _CHANNELS.get(name)
        if made is None or not alike[0].known:
            yield f"The channel `{name}`{_given(alike)} is that of a plug-in"
        else:
            yield from made(alike, fading_blocks)


def loss_sentences(labels: Sequence[str]) -> Iterator[str]:
    """Of what packets meet above the physical layer; nothing where none are lost."""
    for name, alike in parts("packet loss", labels).items():
        made = _LOSSES.get(name)
        if made is None or not alike[0].known:
            yield f"Packets are lost above the physical layer by `{name}`{_given(alike)}, a plug-in"
        else:
            yield from made(alike)


def _given(alike: Alike) -> str:
    words = [", ".join(f"{k} = {v}" for k, v in each.parameters.items()) for each in alike]
    return f" ({'; '.join(words)})" if any(words) else ""


def _list(alike: Alike, key: str, unit: str = "") -> str:
    return listed(values(alike, key), "or") + (f" {unit}" if unit else "")


def _awgn(alike: Alike, blocks: Sequence[str]) -> Iterator[str]:
    del alike, blocks
    yield "The AWGN channel adds white Gaussian noise alone"


def _fading(kind: str) -> Callable[[Alike, Sequence[str]], Iterator[str]]:
    def made(alike: Alike, blocks: Sequence[str]) -> Iterator[str]:
        yield f"{kind} {_family(alike)} of mean power one, known to the receiver"
        yield from _variation(alike, blocks)

    return made


def _family(alike: Alike) -> str:
    if "k_db" in alike[0].parameters:
        return f"with a Rician factor K of {_list(alike, 'k_db', 'dB')} has gains"
    if "m" in alike[0].parameters:
        return f"with a shape m of {_list(alike, 'm')} [@beaulieu2005] has gains"
    return "has circular complex normal gains"


def _variation(alike: Alike, blocks: Sequence[str]) -> Iterator[str]:
    """How gains run through a packet, how many antennas there are, shadowing."""
    held = listed((_BLOCKS.get(each, each) for each in blocks), "or")
    for variation in values(alike, "variation") or ["block"]:
        own = [each for each in alike if each.parameters.get("variation", "block") == variation]
        if variation == "block":
            yield f"A gain lasts for {held}, and the next one is independent of it"
        elif variation == "symbol":
            yield "There is a new, independent gain for each symbol"
        else:
            yield (
                "Gains have Clarke's Doppler spectrum [@clarke1968] with a maximum Doppler "
                f"frequency of {_list(own, 'doppler')} cycles per channel use"
            )
    antennas = values(alike, "antennas")
    if antennas and antennas != ["1x1"]:
        yield f"It is used with {listed((_ANTENNAS.get(each, each) for each in antennas), 'or')}"
    shadowing = [each for each in values(alike, "shadowing_db") if float(each) > 0]
    if shadowing:
        yield (
            f"Log-normal shadowing of {listed(shadowing, 'or')} dB standard deviation, with a mean "
            f"power of one, lasts for {held}"
        )


def _multiplexing(alike: Alike, blocks: Sequence[str]) -> Iterator[str]:
    detectors = {"lmmse": "linear minimum mean squared error", "zf": "zero-forcing"}
    named = listed((detectors.get(each, each) for each in values(alike, "detector")), "or")
    yield (
        "Spatial multiplexing sends two symbols per channel use over two transmit and "
        f"{_list(alike, 'receive_antennas')} receive antennas in Rayleigh fading, known to the "
        f"receiver, which separates them by {named} detection [@tse2005]"
    )
    correlated = [each for each in values(alike, "correlation") if float(each) > 0]
    if correlated:
        yield f"Neighbouring receive antennas have a correlation of {listed(correlated, 'or')}"
    yield from _variation(alike, blocks)


def _ofdm(alike: Alike, blocks: Sequence[str]) -> Iterator[str]:
    estimators = {
        "perfect": "known to the receiver",
        "ls": "estimated by least squares from the pilots",
        "lmmse": "estimated by linear minimum mean squared error from the pilots",
    }
    pilots = " or ".join(
        listed(each.strip("[]").split()) for each in values(alike, "pilot_symbols")
    )
    held = listed((_REALISATIONS.get(each, each) for each in blocks), "or")
    models = values(alike, "model")
    yield (
        f"OFDM with {_list(alike, 'subcarriers')} subcarriers of "
        f"{_list(alike, 'subcarrier_spacing_khz', 'kHz')} and {_list(alike, 'cyclic_prefix')} "
        f"cyclic prefix runs over {plural(len(models), 'the channel model', 'the channel models')} "
        f"{listed(models)} of TR 38.901 [@tr38901], scaled to an rms delay spread of "
        f"{_list(alike, 'delay_spread_ns', 'ns')}, at "
        f"a carrier of {_list(alike, 'carrier_ghz', 'GHz')} and a speed of the receiver of "
        f"{_list(alike, 'speed_m_s', 'm/s')}"
    )
    yield (
        "The channel is "
        + listed((estimators.get(e, e) for e in values(alike, "estimation")), "or")
        + f"; a one-tap equaliser follows; {held}"
    )
    if pilots:
        yield (
            f"Pilots fill the OFDM symbols {pilots} of each slot, counted from 0; they and the "
            "cyclic prefixes are charged as channel uses"
        )
    yield "Interference between subcarriers is neglected"


def _impaired(alike: Alike, blocks: Sequence[str]) -> Iterator[str]:
    del blocks
    offsets = [each for each in values(alike, "cfo") if float(each)]
    noise = [each for each in values(alike, "phase_noise_deg") if float(each)]
    both = any(
        float(each.parameters["cfo"]) and float(each.parameters["phase_noise_deg"])
        for each in alike
    )
    words = []
    if offsets:
        words.append(f"a carrier frequency offset of {listed(offsets, 'or')} of the symbol rate")
    if noise:
        words.append(f"Wiener phase noise of {listed(noise, 'or')} degrees per symbol [@demir2000]")
    named = listed(words, "and" if both else "or") or "no impairment"
    yield f"White Gaussian noise comes with {named}, of which the receiver does not know"
    known = values(alike, "mean_phase_known")
    if "true" in known:
        yield (
            f"{'In some variants a' if 'false' in known else 'A'} genie turns each packet back by "
            "its mean phase"
        )


def _binary(what: str, key: str) -> Callable[[Alike, Sequence[str]], Iterator[str]]:
    def made(alike: Alike, blocks: Sequence[str]) -> Iterator[str]:
        del blocks
        yield (
            f"The binary {what} each bit with a probability of {_list(alike, key)} "
            "[@richardson2008]; the SNR plays no part in it"
        )

    return made


_CHANNELS: dict[str, Callable[[Alike, Sequence[str]], Iterator[str]]] = {
    "awgn": _awgn,
    "rayleigh_block": _fading("Flat Rayleigh fading"),
    "rayleigh": _fading("Flat Rayleigh fading"),
    "rician": _fading("Flat Rician fading"),
    "nakagami": _fading("Flat Nakagami fading"),
    "spatial_multiplexing": _multiplexing,
    "ofdm": _ofdm,
    "impaired": _impaired,
    "bsc": _binary("symmetric channel flips", "flip_probability"),
    "bec": _binary("erasure channel erases", "erasure_probability"),
}


def _iid(alike: Alike) -> Iterator[str]:
    shares = [each for each in values(alike, "probability") if float(each) > 0]
    if shares:
        yield (
            "Above the physical layer packets are lost independently with a probability of "
            f"{listed(shares, 'or')}"
        )


def _gilbert_elliott(alike: Alike) -> Iterator[str]:
    yield (
        f"Bursts of loss follow Gilbert's chain [@gilbert1960] with a mean loss of "
        f"{listed(values(alike, 'mean_loss'), 'or')} and a mean burst of "
        f"{listed(values(alike, 'mean_burst'), 'or')} packets"
    )


def _chain(alike: Alike) -> Iterator[str]:
    yield (
        "Losses follow a Gilbert-Elliott chain [@gilbert1960; @elliott1963] with probabilities of "
        f"{_list(alike, 'good_to_bad')} from good to bad and {_list(alike, 'bad_to_good')} back, "
        f"and of loss of {_list(alike, 'loss_in_good')} in the good and "
        f"{_list(alike, 'loss_in_bad')} in the bad state"
    )


def _trace(alike: Alike) -> Iterator[str]:
    starts = {"random": "a random place for each picture", "beginning": "its beginning"}
    named = listed((starts.get(each, each) for each in values(alike, "start")), "or")
    yield f"Packets meet the losses of a measured trace, starting at {named}"


def _jitter(alike: Alike) -> Iterator[str]:
    yield (
        "Packets are delayed by "
        f"{_list(alike, 'base_ms', 'ms')} and gamma distributed jitter of "
        f"{_list(alike, 'jitter_ms', 'ms')} standard deviation and shape {_list(alike, 'shape')}, "
        f"and are lost after a deadline of {_list(alike, 'deadline_ms', 'ms')}"
    )
    copies = [each for each in values(alike, "duplicate_probability") if float(each) > 0]
    if copies:
        yield f"The network duplicates a packet with a probability of {listed(copies, 'or')}"


_LOSSES: dict[str, Callable[[Alike], Iterator[str]]] = {
    "iid": _iid,
    "gilbert_elliott": _gilbert_elliott,
    "gilbert_elliott_chain": _chain,
    "trace": _trace,
    "jitter": _jitter,
}
