"""The words of the page in the language in use, by the keys that its scripts use.

Not here: counts, and texts of models.
"""

from __future__ import annotations

from magpie_hf.text.language import tr


def words() -> dict[str, str]:
    """Every word of the page. The scripts fill in the {fields}."""
    return {**_frame(), **_numbers(), **_list(), **_row(), **_marks(), **_keys()}


def _frame() -> dict[str, str]:
    return {
        "overview": tr("Overview"),
        "rows": tr("Rows"),
        "theme": tr("Light or dark"),
        "help": tr("Keys"),
        "close": tr("Close"),
        "all": tr("All"),
        "any": tr("any"),
        "yes": tr("yes"),
        "no": tr("no"),
        "domain": tr("Domain"),
        "as_table": tr("As a table"),
        "count": tr("Count"),
    }


def _numbers() -> dict[str, str]:
    return {
        "total_problems": tr("Problems"),
        "total_sft": tr("Rows for fine-tuning (SFT)"),
        "total_pairs": tr("Preference pairs"),
        "total_sampled": tr("Sampled"),
        "funnel": tr("From samples to pairs"),
        "funnel_about": tr(
            "Shading: share of the samples; for answered, rows and pairs, of the problems; for complete and "
            "scored candidates, of the candidates."
        ),
        "funnel_sampled": tr("Sampled"),
        "funnel_dropped": tr("Dropped"),
        "funnel_moved_away": tr("Moved away"),
        "funnel_moved_here": tr("Moved here"),
        "funnel_problems": tr("Problems"),
        "funnel_answered": tr("Answered"),
        "funnel_sft": tr("SFT rows"),
        "funnel_candidates": tr("Candidates"),
        "funnel_complete": tr("Complete"),
        "funnel_scored": tr("Scored"),
        "funnel_pairs": tr("Pairs"),
        "yield": tr("Yield"),
        "on_domain": tr("On topic"),
        "mean_majority_share": tr("Mean majority share"),
        "longer": tr("Chosen is longer"),
        "left_out_title": tr("What was left out, and why"),
        "left_out_about": tr("Choose a reason for samples or pairs to see its rows."),
        "nothing_left_out": tr("Nothing was left out."),
        "step": tr("Step"),
        "meaning": tr("Meaning"),
        "step_samples": tr("samples"),
        "step_answers": tr("answers"),
        "step_candidates": tr("candidates"),
        "step_scores": tr("scores"),
        "step_pairs": tr("pairs"),
        "distributions": tr("Distributions"),
        "all_domains": tr("All domains"),
        "values": tr("{n} values"),
        "values_median": tr("{n} values, median {median}"),
        "no_values": tr("no values"),
        "from_to": tr("From – to"),
        "chart_problem_tokens": tr("Tokens of a problem"),
        "chart_solution_tokens": tr("Tokens of an answer"),
        "chart_pair_tokens": tr("Tokens of a pair's texts"),
        "chart_scores": tr("Scores of candidates"),
        "chart_score_gaps": tr("Score gaps of pairs"),
        "chart_majority_share": tr("Majority share of final answers"),
        "chart_difficulty": tr("Difficulty"),
        "chart_quality": tr("Quality"),
        "chart_solvability": tr("Solvability"),
        "chart_category": tr("Category"),
        "chart_language": tr("Language"),
        "chart_pair_kind": tr("Kind of pair"),
        "throughput": tr("Throughput"),
        "tokens_a_second": tr("Generated tokens per second"),
        "speed_about": tr("mean {mean}, highest {highest}, {total} tokens in {time} without pauses"),
        "no_speed": tr("The build has no record of its speed (run/speed.jsonl)."),
        "time": tr("Time"),
        "mark_opened": tr("{engine} opened in {seconds}"),
        "mark_reopened": tr("{engine} died and was restarted in {seconds}"),
        "mark_began": tr("the build started"),
        "mark_finished": tr("the build finished"),
        "mark_stopped": tr("the build stopped"),
        "making": tr("How it was made"),
    }


def _list() -> dict[str, str]:
    return {
        "search": tr("Search problems and ids"),
        "answers_too": tr("also in answers (slower)"),
        "searching": tr("searching … {share}"),
        "filters": tr("Filters"),
        "reset": tr("Reset"),
        "found": tr("{n} of {all} rows"),
        "nothing_found": tr("No row matches. Widen the filters, or reset them."),
        "list": tr("List of rows"),
        "show": tr("Show"),
        "show_problems": tr("problems"),
        "show_dropped": tr("dropped samples"),
        "show_all": tr("both"),
        "kind": tr("Kind"),
        "reason": tr("Reason"),
        "difficulty": tr("Difficulty"),
        "quality": tr("Quality"),
        "side": tr("Split"),
        "pair": tr("Pair"),
        "answered": tr("Published answer"),
        "majority_share": tr("Majority share"),
        "score_gap": tr("Score gap"),
        "score": tr("Score"),
        "least": tr("from"),
        "most": tr("to"),
        "answer": tr("Answer"),
        "no_pair": tr("no pair"),
        "empty": tr("(empty)"),
    }


def _row() -> dict[str, str]:
    return {
        "row": tr("One row"),
        "back": tr("List"),
        "previous": tr("Previous row"),
        "next": tr("Next row"),
        "solution": tr("Published answer"),
        "no_solution": tr("No answer is published: {reason} – {meaning}"),
        "candidates_title": tr("{n} candidates"),
        "candidate": tr("Candidate {n}"),
        "smaller_model": tr("A smaller model's answer"),
        "chosen": tr("chosen"),
        "rejected": tr("rejected"),
        "majority": tr("Majority"),
        "majority_answer": tr("Majority's answer"),
        "agrees": tr("agrees"),
        "differs": tr("differs"),
        "no_vote": tr("no vote"),
        "sft_row": tr("SFT row {n}"),
        "in_majority": tr("majority"),
        "not_in_majority": tr("not the majority"),
        "answer_kind": tr("Kind of answer"),
        "unknown_pairs": tr("Undecided pairs of answers"),
        "checker": tr("Checker"),
        "programs": tr("Programs"),
        "no_opinion": tr("says nothing"),
        "objections": tr("Looks that object"),
        "pass_rate": tr("Pass rate"),
        "of_answers": tr("{share} of {n} answers"),
        "of_votes": tr("{share} of {n} votes"),
        "pair_of": tr("{kind}, score gap {score_gap}"),
        "no_pair_because": tr("none: {reason} – {meaning}"),
        "incomplete_candidate": tr("Incomplete, so its text was not kept: {reason} – {meaning}"),
        "answer_cluster": tr("Cluster"),
        "tokens": tr("Tokens"),
        "thinking": tr("Thinking, {n} characters"),
        "left_out": tr(
            "{n} characters are left out here; `magpie-hf show` and the parquet files have the whole text"
        ),
        "language": tr("Language"),
        "tag_domain": tr("Tagged as"),
        "tag_quality": tr("Quality"),
        "tag_difficulty": tr("Difficulty"),
        "tag_solvability": tr("Solvability"),
        "tag_category": tr("Category"),
        "finish_reason": tr("Finish reason"),
        "contaminated_by": tr("Repeats"),
        "near_duplicate_of": tr("Near-duplicate of the accepted problem"),
        "raw": tr("Raw sample"),
        "generation": tr("Generation"),
    }


def _marks() -> dict[str, str]:
    return {
        "mark": tr("Mark"),
        "good": tr("good"),
        "bad": tr("bad"),
        "note": tr("note"),
        "noted": tr("with a note"),
        "unmarked": tr("not marked"),
        "sheet": tr("in the imported file"),
        "marked": tr("{n} marked: {good} good, {bad} bad"),
        "gone": tr("{n} marks are of rows that are not here any more, and are left out."),
        "not_kept": tr("This browser keeps no marks: export them before you leave."),
        "export": tr("Export marks"),
        "import": tr("Import marks"),
        "bad_line": tr("Line {line} of {file} is no mark; nothing was taken."),
        "unknown_row": tr("Line {line} of {file} names a row that is not here; nothing was taken."),
        "precision": tr("What people say of the rows"),
        "precision_about": tr(
            "Right: accepted rows marked good, and dropped samples marked bad. Choose the rows at random"
            " (magpie-hf review --sample) if the shares are to stand for the dataset."
        ),
        "group_all": tr("accepted"),
        "group_domain": tr("domain"),
        "group_majority_share": tr("majority share"),
        "group_pair": tr("pair"),
        "group_dropped": tr("dropped"),
        "read": tr("read"),
        "right": tr("right"),
        "share": tr("share"),
        "interval": tr("95 % interval"),
    }


def _keys() -> dict[str, str]:
    return {
        "key_views": tr("Overview, rows"),
        "key_search": tr("Search"),
        "key_move": tr("Next and previous row"),
        "key_ends": tr("First and last row"),
        "key_open": tr("Go to the row's text"),
        "key_mark": tr("Mark the row good or bad; again: no mark"),
        "key_note": tr("Write a note"),
        "key_back": tr("Back to the list"),
        "key_theme": tr("Light or dark"),
        "key_help": tr("These keys"),
    }
