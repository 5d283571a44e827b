# SPDX-License-Identifier: MIT
"""Results for other programs: CSV and Parquet, one flat line a run."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TextIO

from cowfast.errors import ResultsError
from cowfast.files import replacing
from cowfast.results.read import Results


def write_csv(results: Results, stream: TextIO) -> None:
    """Write a header and a line a run; a column that a row does not have is empty."""
    records = list(results.flat())
    columns = dict.fromkeys(name for record in records for name in record)
    writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)


def export(results: Results, path: str | os.PathLike[str]) -> None:
    """Write results to ``path``; its ending says the format: ``.csv`` or ``.parquet`` (needs the extra ``analysis``)."""
    path = Path(path)
    if path.suffix == ".csv":
        with replacing(path, ResultsError) as file:
            text = io.TextIOWrapper(file, "utf-8", newline="")
            write_csv(results, text)
            text.detach()
    elif path.suffix == ".parquet":
        try:
            frame = results.to_polars()
        except ImportError as error:
            raise ResultsError("Parquet needs polars: pip install 'cowfast[analysis]'") from error
        whole = io.BytesIO()  # polars has its own words for a disk that is full
        frame.write_parquet(whole)
        with replacing(path, ResultsError) as file:
            file.write(whole.getbuffer())
    else:
        raise ResultsError(f"{path}: the name must end in .csv or .parquet")
