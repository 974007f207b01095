"""What the runs found: tables, intervals, claims, figures, the book."""

from typing import TYPE_CHECKING

from lib.facade import hand_on

if TYPE_CHECKING:
    from lib.report.claims import cases_of, load_claims, resampled_cases, write_verdicts
    from lib.report.compared import load_page
    from lib.report.explorers import (
        attack_explorer,
        attacked,
        attention_explorer,
        direction_explorer,
        hybrid_explorer,
        path_explorer,
        token_explorer,
    )
    from lib.report.figures import (
        curves,
        depth_figure,
        protection_figure,
        score_figure,
        training_figure,
    )
    from lib.report.forest import forest_figure
    from lib.report.in_browser import encoder_explorer, runs_in_browser
    from lib.report.intervals import (
        bootstrap_mean,
        bootstrap_over,
        bootstrap_sums,
        resampled_mean,
        resampled_over,
        resampled_sums,
    )
    from lib.report.judge import Compared, JOINT, answer, places
    from lib.report.names import plain_names
    from lib.report.pictures import (
        attention_map_figure,
        image_rows,
        map_rows,
        shift_figure,
        token_map_figure,
    )
    from lib.report.published import PUBLISHED, load_published, rank_correlation
    from lib.report.qualification import probed_encoders, qualified
    from lib.report.schematics import show_schematic
    from lib.report.show import (
        folded,
        html_table,
        number,
        show_frame,
        show_scores,
        show_table,
        with_interval,
    )
    from lib.report.statistics import (
        SIMILARITIES,
        attention_statistics,
        early,
        fourier_statistics,
        late,
        object_statistics,
        one_pass_statistics,
        over_blocks,
        probe_statistics,
        shift_statistics,
        similarity_statistics,
        two_thirds,
    )
    from lib.report.style import short, use_style
    from lib.report.tables import (
        COLUMNS,
        curve_rows,
        depth_rows,
        score_row,
        training_log,
        write_table,
    )
    from lib.report.verdicts import show_verdicts

hand_on(__name__)
