"""Print how fast trainings, probes and attributions are on this machine: ``make bench``, about four
minutes on an idle machine."""

import torch

from lib.bench import attributions, formulas, probes, trainings


def line(what: str, value: float, aim: str, met: bool) -> str:
    """One ratio beside its aim."""
    return f"{what:<70} {value:6.2f}   aim {aim:<7} {'met' if met else 'NOT MET'}"


def report_trainings() -> None:
    """Objectives against the matrix-multiply peak."""
    peak, speed, shares = trainings.measure()
    simmim, moco = (speed.loc[pair] for pair in (trainings.SIMMIM, trainings.MOCO))
    ratio = moco["images/s"] / simmim["images/s"] / trainings.SHARE_MOCO
    print(
        "\nTraining steps, batches of 64. Matrix-multiply peak, single precision, one thread:"
        f" {peak / 1e9:.1f} GFLOP/s\n"
    )
    print(speed.round({"images/s": 1, "MFLOP/image": 1, "GFLOP/s": 1, "of peak": 2}).to_string())
    print("\nWhere the time of a step goes, in %\n")
    print((100 * shares).round(1).to_string())
    print()
    print(
        line(
            "SimMIM, share of the peak",
            simmim["of peak"],
            f">= {trainings.AIM_SIMMIM}",
            simmim["of peak"] >= trainings.AIM_SIMMIM,
        )
    )
    print(
        line(
            "MoCo v3, images/s over 3/8 of SimMIM's",
            ratio,
            f">= {trainings.AIM_MOCO}",
            ratio >= trainings.AIM_MOCO,
        )
    )


def report_formulas() -> None:
    """Distance and mutual information against the official formulas."""
    table = formulas.measure()
    ratio, difference = table.loc["both", ["ratio", "difference"]]
    print(
        "\nAttention of 16 images, 12 heads, 196 patches: seconds of the official formulas and of"
        " these\n"
    )
    print(table.to_string(float_format="{:.3g}".format))
    print()
    print(
        line(
            "Distance and mutual information, times faster",
            ratio,
            f">= {formulas.AIM_RATIO:g}",
            ratio >= formulas.AIM_RATIO,
        )
    )
    print(
        line(
            "Largest relative difference of their values, in 1e-5",
            difference / 1e-5,
            "<= 1",
            difference <= formulas.TOLERANCE,
        )
    )


def report_probes() -> None:
    """The pass with every probe against the plain one."""
    found, costs = probes.measure()
    print(
        f"\n{probes.ARCHITECTURE}, 16 images: seconds and memory of a plain pass with fused"
        " attention and of the pass with every probe\n"
    )
    print("\n".join(f"{name:<22} {value:8.2f}" for name, value in found.items()))
    print("\nSeconds of each probe\n")
    print(costs.round(3).to_string())
    print()
    print(
        line(
            "Pass with every probe over plain pass",
            found["ratio"],
            f"<= {probes.AIM_RATIO}",
            found["ratio"] <= probes.AIM_RATIO,
        )
    )
    print(
        line(
            "Peak memory with three times the images",
            found["growth"],
            f"<= {probes.AIM_GROWTH}",
            found["growth"] <= probes.AIM_GROWTH,
        )
    )


def report_attributions() -> None:
    """SSLA and its evaluation against their passes, and against captum."""
    seconds, ratios = attributions.measure()
    print("\nSSLA on 64 images, ViT-S, T = 10, N = 8: seconds\n")
    print("\n".join(f"{name:<40} {value:8.3f}" for name, value in seconds.items()))
    print()
    for (name, ratio), aim in zip(
        ratios.items(),
        (attributions.AIM_SSLA, attributions.AIM_CAPTUM, attributions.AIM_ATTACK),
        strict=True,
    ):
        print(line(name, ratio, f"<= {aim}", ratio <= aim))


def main() -> None:
    """All parts, in one thread."""
    torch.set_num_threads(1)
    print(
        "Times are processor seconds of one thread, the least of several; compared things take"
        " turns."
    )
    report_formulas()
    report_attributions()
    report_trainings()
    report_probes()


if __name__ == "__main__":
    main()
