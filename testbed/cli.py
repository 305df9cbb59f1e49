"""The command line. Everything heavy is imported where it is used: `--help` must be quick."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from testbed.errors import TestbedError

app = typer.Typer(
    help="A simulated wireless testbed for semantic communication with scalable image coding.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ScenarioFile = Annotated[Path, typer.Argument(metavar="FILE", help="the scenario's YAML file")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="replace a value, as link.snr_db=[0,5]"),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugins", metavar="FILE", help="with a plug-in: a file, or its entry point"),
]
Parquet = Annotated[
    bool, typer.Option("--parquet", help="write the tables as Parquet, too (extra parquet)")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="fail if what was delivered is not what links state")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="say what was written and errors, no more")]
AsJson = Annotated[bool, typer.Option("--json", help="say all as lines of JSON on stdout")]


def main() -> None:
    """Runs the command; an error that the user can mend is one line per problem, no traceback."""
    # Processes share the cores; threads of numpy's in each would only wait for one another. It is
    # read when numpy is imported, by this process and by its workers.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except TestbedError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    finally:
        # All is said. The interpreter takes up to a second to end, and a Ctrl-C then would make a
        # finished command look like a killed one.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@app.command()
def run(
    file: ScenarioFile,
    out: Annotated[
        Path | None, typer.Option(help="folder of the results; results/<name> unless given")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; one per core unless given")
    ] = None,
    overrides: Overrides = None,
    strict: Strict = False,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="simulate the I-th of N parts; then merge")
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="pool|dask|dask://HOST:PORT",
            help="processes of this machine, or Dask's: with workers of its own, or a scheduler's",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="where networks run: cpu or cuda")] = "cpu",
    cache: Annotated[
        Path | None, typer.Option(help="folder of encoded streams; the user's cache unless given")
    ] = None,
    cache_mb: Annotated[
        int, typer.Option("--cache-mb", min=0, help="what it may hold; 0: keep none")
    ] = 2048,
    quiet: Quiet = False,
    as_json: AsJson = False,
    parquet: Parquet = False,
) -> None:
    """Run a scenario: trials.csv, statistics.csv, certification.json, manifest.json, figures/ in
    its folder.

    What was finished before an interruption is kept: the same command goes on from there.
    """
    from testbed.commands.run_command import RunOptions, run_scenario

    options = RunOptions(
        out, workers, shard, executor, device, cache, cache_mb, strict, quiet, as_json, parquet
    )
    try:
        run_scenario(file, overrides or [], sys.argv, options)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        raise typer.Exit(130) from None


@app.command()
def merge(
    file: ScenarioFile,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER]...", help="of the shards; those in --out unless given"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder of the whole run; results/<name> unless given")
    ] = None,
    overrides: Overrides = None,
    strict: Strict = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    parquet: Parquet = False,
) -> None:
    """Join the shards of a scenario: the same files as of a run in one piece."""
    from testbed.commands.run_command import RunOptions, merge_shards

    options = RunOptions(out, strict=strict, quiet=quiet, as_json=as_json, parquet=parquet)
    merge_shards(file, folders or [], overrides or [], sys.argv, options)


@app.command()
def gallery(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="of scenarios that ship; all unless given"),
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the runs")] = Path("results/gallery"),
    reference: Annotated[Path, typer.Option(help="folder of what is kept of each")] = Path(
        "results/reference"
    ),
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; one per core unless given")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="change nothing; say what is not as it is kept")
    ] = False,
) -> None:
    """Run every scenario that ships, and keep its small result and figures."""
    from testbed.commands.gallery_command import make_gallery

    make_gallery(names or [], out, reference, workers, check=check)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="folder of a run's results")],
    as_json: Annotated[bool, typer.Option("--json", help="print the same as JSON")] = False,
) -> None:
    """Say how far a run is, from its folder, also while it runs."""
    from testbed.commands.status_command import print_status

    print_status(folder, as_json=as_json)


@app.command()
def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="folders of results; several: compared")
    ],
    out: Annotated[
        Path | None, typer.Option(help="folder of the report; DIR/report unless given")
    ] = None,
    width: Annotated[
        str, typer.Option(metavar="column|page", help="of figures: one column of a paper, or both")
    ] = "column",
) -> None:
    """Write report.html, which needs nothing beside it, figures and files for a paper.

    It is made of the folders alone, also while a run goes on.
    """
    from testbed.commands.report_command import write_report

    write_report(folders, out, width)


@app.command()
def check(
    file: ScenarioFile,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the same as JSON")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="leave out the estimate of time and disk")
    ] = False,
) -> None:
    """Check a scenario; print its link budget, trials, what cannot be sent, and what it will take.

    For that a few of its trials are simulated, for some seconds, and not kept.
    """
    from testbed.commands.check_command import check_scenario

    check_scenario(file, overrides or [], as_json=as_json, estimated=not quick)


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="file to write; printed unless given")] = None,
    plugins: Plugins = None,
) -> None:
    """Print the scenario language as JSON Schema, by which editors complete and check."""
    from testbed.language.schema import write_schema

    write_schema(out, plugins or [])


@app.command("list")
def list_(plugins: Plugins = None) -> None:
    """List what a scenario can name: codecs, channels, modulations, image sets, profiles."""
    from testbed.commands.check_command import print_choices

    print_choices(plugins or [])


def _check_fit(fit: int | None) -> None:
    from codec.base import CodecError
    from codec.embedded.fitted import check_tries

    try:
        if fit is not None:
            check_tries(fit)
    except CodecError as error:
        raise typer.BadParameter(str(error), param_hint="--fit") from None


@app.command()
def encode(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...")],
    out: Annotated[Path, typer.Option(help="folder of the coded files")],
    profile: Annotated[str, typer.Option(help="trained weights to use")] = "paper",
    layers: Annotated[
        int | None, typer.Option(min=1, max=9, help="code so many layers; all unless given")
    ] = None,
    most_bytes: Annotated[
        int | None,
        typer.Option(
            "--bytes", min=1, help="cut where the layers' bytes sum to so many; or see --fit"
        ),
    ] = None,
    irreversible: Annotated[
        bool,
        typer.Option(
            "--irreversible",
            help="near the exact picture at the end, but better where long streams are cut",
        ),
    ] = False,
    fit: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="make the stream for --bytes, in one layer and irreversibly, with the best of "
            "1, 2, 4 or 8 steps; the profile embedded, up to 1024 pixels a side",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="write over existing files")] = False,
) -> None:
    """Code pictures with the layered codec and print the exact size of each layer.

    With --bytes as many layers are kept as fit, and as much of the next; with --fit too, there is
    one layer, made for it.
    """
    from testbed.files import encode_files

    _check_fit(fit)
    if fit is not None and most_bytes is None:
        raise typer.BadParameter("needs --bytes, the budget to fit", param_hint="--fit")
    for coded in encode_files(
        images, out, profile, layers, most_bytes,
        reversible=not irreversible, fit=fit, overwrite=force,
    ):  # fmt: skip
        pixels, total = coded.height * coded.width, 0
        print(f"{coded.path}: {coded.width}x{coded.height}, index {coded.index_bytes} bytes")
        for layer in coded.layers:
            total += layer.n_bytes
            cut = layer.n_bytes < layer.whole_bytes
            print(
                f"  {layer.name:9} {layer.n_bytes:9} bytes   sum {total:9} bytes "
                f"{8 * total / pixels:8.4f} bpp" + f"   cut from {layer.whole_bytes}" * cut
            )


@app.command()
def decode(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    out: Annotated[Path, typer.Option(help="folder of the PNG files")],
    layers: Annotated[
        int | None, typer.Option(min=1, max=9, help="use so many layers; all unless given")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="weights; those named in the file unless given")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="write over existing files")] = False,
) -> None:
    """Decode files of the layered codec to PNG, from all layers or the first few."""
    from testbed.files import decode_files

    for each in decode_files(files, out, layers, profile, overwrite=force):
        part = " and a part of the next" if each.and_a_part else ""
        print(f"{each.path}: {each.whole_layers} whole layers{part}")


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        # --help is the training script's own.
        "help_option_names": [],
    }
)
def train(context: typer.Context) -> None:
    """Train the layered codec; with `train embedded` its profile of that name; with `train
    deepjscc` learned analog transmission; with `train classifier` what the metric `task` sees with.

    `testbed train --help`, `testbed train deepjscc --help` and so on list the options.
    """
    scripts = {
        "embedded": "embedded_train",
        "deepjscc": "deepjscc",
        "classifier": "classifier",
    }
    script, arguments = "train", context.args
    if arguments and arguments[0] in scripts:
        script, arguments = scripts[arguments[0]], arguments[1:]
    import_module(f"codec.training.{script}").main(arguments)


reproduce = typer.Typer(
    help="Measure what the paper reports, and how good the LDPC decoder and the classifier are.",
    no_args_is_help=True,
)
app.add_typer(reproduce, name="reproduce")


@reproduce.command("table1")
def reproduce_table1(
    out: Annotated[Path, typer.Option(help="folder of table1.csv and table1.tex")] = Path(
        "results/reference"
    ),
    images: Annotated[str, typer.Option(help="what to measure on")] = "cifar10_test",
    limit: Annotated[int | None, typer.Option(min=1, help="use the first N images")] = None,
    profile: Annotated[str, typer.Option(help="trained weights to use")] = "paper",
) -> None:
    """Bitplane errors that the correction function and the enhancement networks remove."""
    from testbed.commands.reproduce_command import reproduce_table1 as run_table1

    run_table1(profile, images, limit, out)


@reproduce.command("figure2")
def reproduce_figure2(
    out: Annotated[
        Path, typer.Option(help="folder of figure2.csv, .png, .pdf and claims.md")
    ] = Path("results/reference"),
    images: Annotated[str, typer.Option(help="what to measure on")] = "cifar10_test",
    limit: Annotated[int | None, typer.Option(min=1, help="use the first N images")] = None,
    profile: Annotated[str, typer.Option(help="trained weights to use")] = "paper",
    conventional: Annotated[
        Path | None,
        typer.Option(help="figure2.csv of the same images to take the conventional codecs from"),
    ] = None,
) -> None:
    """Rate-distortion curves beside JPEG, JPEG2000 and HEIF, and the paper's claims judged.

    HEIF takes most of the time. After a new training, --conventional spares it.

    Run table1 into the same folder first: one claim needs its figures.
    """
    from testbed.studies.figure2 import reproduce_figure2 as run_figure2

    run_figure2(profile, images, limit, out, conventional)


@reproduce.command("ldpc_quality")
def reproduce_ldpc_quality(
    out: Annotated[Path, typer.Option(help="folder of ldpc_quality.csv, .png and .pdf")] = Path(
        "results/reference"
    ),
    words: Annotated[
        int | None,
        typer.Option(min=100, help="codewords per point; 4 million bits' worth unless given"),
    ] = None,
) -> None:
    """Block errors of the LDPC decoder beside sum-product decoding, and the gap in dB at 1 %.

    Takes about seven minutes on one core, --words 100 less than one. After an interruption the
    same command goes on from there.
    """
    from testbed.studies.ldpc_quality import reproduce_ldpc_quality as run_quality

    run_quality(words, out)


@reproduce.command("classifier")
def reproduce_classifier(
    images: Annotated[str, typer.Option(help="pictures with labels")] = "cifar10_test",
    limit: Annotated[int | None, typer.Option(min=1, help="use the first N images")] = None,
) -> None:
    """How often the classifier of the metric `task` is right, without any loss of quality.

    Takes about a minute on one core.
    """
    from testbed.evaluation.classifier_accuracy import print_accuracy

    print_accuracy(images, limit)


@reproduce.command("ablation")
def reproduce_ablation(
    out: Annotated[Path, typer.Option(help="folder of ablation.csv")] = Path(
        "results/reference/embedded"
    ),
    images: Annotated[str, typer.Option(help="what to measure on")] = "cifar10_test",
    limit: Annotated[int | None, typer.Option(min=1, help="use the first N images")] = 500,
) -> None:
    """What the parts of the embedded profile bring, with its weights as they are.

    Takes about a minute on one core.
    """
    from testbed.commands.ablation_command import reproduce_ablation as run_ablation

    run_ablation(images, limit, out)


tables = typer.Typer(help="Block error tables, for fidelity: tables.", no_args_is_help=True)
app.add_typer(tables, name="tables")


@tables.command("build")
def build_tables(
    file: ScenarioFile,
    set_: Overrides = None,
) -> None:
    """Make the tables that a scenario needs, and keep them in the user's cache."""
    from testbed.commands.tables_command import build_tables as run_build

    run_build(file, set_ or [])


@tables.command("verify")
def verify_tables(
    file: ScenarioFile,
    set_: Overrides = None,
    packets: Annotated[int, typer.Option(min=1, help="packets sent over each link")] = 200,
) -> None:
    """Send packets bit by bit and by tables, and compare what arrives."""
    from testbed.commands.tables_command import verify_tables as run_verify

    run_verify(file, set_ or [], packets)


data = typer.Typer(help="Data sets: which are there, and how to get them.", no_args_is_help=True)
app.add_typer(data, name="data")


@data.command("list")
def list_data() -> None:
    """Say which data sets are found where, and check them; fails if one is damaged."""
    from testbed.commands.data_command import print_sets

    if not print_sets():
        raise typer.Exit(1)


@data.command("download")
def download_data(
    name: Annotated[str, typer.Argument(metavar="SET", help="cifar10 or kodak")],
    layout: Annotated[
        str, typer.Option(metavar="binary|python", help="form of CIFAR-10's files")
    ] = "binary",
    folder: Annotated[
        Path | None,
        typer.Option(help="folder of data sets; the one that TESTBED_DATA names unless given"),
    ] = None,
) -> None:
    """Get a published data set, checked. What is there already is not fetched again."""
    from testbed.commands.data_command import download

    try:
        download(name, layout, folder)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        raise typer.Exit(130) from None


@app.command("verify-anchors")
def verify_anchors(
    out: Annotated[Path | None, typer.Option(help="folder of anchors.csv, if wanted")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="JPEG's anchors alone: seconds")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="fail unless all is measured and within tolerance")
    ] = False,
) -> None:
    """Compute stated figures of conventional codecs again, and print the differences.

    Needs CIFAR-10 or Kodak in the folder that TESTBED_DATA names; see `testbed data`.
    """
    from testbed.commands.anchors_command import verify_anchors as run_verify

    if not run_verify(out, quick=quick) and strict:
        raise typer.Exit(1)


@app.command()
def fuzz(
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="[TARGET]...", help="all unless given")
    ] = None,
    cases: Annotated[int, typer.Option(min=1, help="of each target")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="other cases for another seed")] = 1,
    only: Annotated[
        int | None, typer.Option(min=0, help="run the case of this number alone")
    ] = None,
) -> None:
    """Give every reader and decoder what nobody meant it to get, and see that none of them fails.

    A case may take 20 s and 1 GB. Needs the scenarios of the source tree for some targets.
    """
    from testbed.commands.fuzz_command import run_fuzz

    try:
        if not run_fuzz(targets or [], cases, seed, only):
            raise typer.Exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        raise typer.Exit(130) from None


bench = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@bench.command("ldpc")
def bench_ldpc() -> None:
    """The LDPC decoder beside Sionna's on the same words, in one run."""
    from testbed.commands.bench_command import print_ldpc

    print_ldpc()


@bench.command("polar")
def bench_polar(
    words: Annotated[int, typer.Option(min=100, help="words per point, at most")] = 6000,
) -> None:
    """Polar codes beside LDPC at 1 % block errors, and beside Sionna's list decoder."""
    from testbed.commands.bench_command import print_polar

    print_polar(words)


@bench.command("link")
def bench_link() -> None:
    """Each stage of the link, and its share of the time."""
    from testbed.commands.bench_command import print_link

    print_link()


@bench.command("demapper")
def bench_demapper() -> None:
    """The demapper, exact and max-log, for each modulation."""
    from testbed.commands.bench_command import print_demapper

    print_demapper()


@bench.command("tables")
def bench_tables() -> None:
    """The link by block error tables beside the link bit by bit."""
    from testbed.commands.bench_command import print_tables

    print_tables()


@bench.command("cabac")
def bench_cabac() -> None:
    """The arithmetic coder, both ways."""
    from testbed.commands.bench_command import print_cabac

    print_cabac()


@bench.command("runner")
def bench_runner(
    file: Annotated[
        Path, typer.Option("--scenario", help="what is run, with one source of images")
    ] = Path("scenarios/benchmark.yaml"),
    images: Annotated[
        str | None, typer.Option(help="instead of the scenario's source, as samples32")
    ] = None,
    scales: Annotated[str, typer.Option(help="how many times the pictures")] = "1,4,16",
    out: Annotated[Path | None, typer.Option(help="folder of runner.csv, if wanted")] = None,
) -> None:
    """The runner's own cost beside codecs and links, its growth, and what a second worker brings.

    Takes a quarter of an hour on two idle cores.
    """
    from testbed.studies.bench_runner import bench_runner as run_bench

    run_bench(file, images, scales, out)


@bench.command("codec")
def bench_codec(
    profile: Annotated[
        list[str] | None, typer.Option(help="trained weights; may be given again; all unless given")
    ] = None,
    images: Annotated[str, typer.Option(help="what to measure on")] = "samples32",
    limit: Annotated[int | None, typer.Option(min=1, help="use the first N images")] = None,
    conventional: Annotated[
        str, typer.Option(help="codecs beside it, as jpeg2000,heif:payload with headers; or none")
    ] = "jpeg,jpeg2000,webp",
    fit: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS",
            help="also make streams for each rate, with the best of 1, 2, 4 or 8 steps",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder of tables and a figure, if wanted")
    ] = None,
) -> None:
    """The layered codec: speed both ways, lossless rate, PSNR at equal rates beside others."""
    from testbed.commands.bench_codec_command import run_bench_codec

    _check_fit(fit)
    try:
        run_bench_codec(profile or [], images, limit, conventional, out, fit)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        raise typer.Exit(130) from None


if __name__ == "__main__":
    main()
