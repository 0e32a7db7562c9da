"""Numbers for readers: three significant digits, and columns whose decimals line up."""

import pytest

from lib import rounding


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.094241, "0.0942"),
        (1.5449, "1.54"),
        (9.996, "10.0"),
        (22.83, "22.8"),
        (104.97, "105.0"),
        (999.7, "1000"),
        (1951.2, "1951"),
        (12_560.4, "12,560"),
        (12_560, "12,560"),
        (-0.0312, "−0.0312"),
        (72, "72"),
        (0.0, "0"),
        (0.0000123, "1.23e−05"),
        (None, "–"),
        (float("nan"), "–"),
        ("conv", "conv"),
        (True, "True"),
    ],
)
def test_a_number_by_itself_has_three_significant_digits(value, text):
    assert rounding.number(value) == text


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([149.13, 104.97, 102.2], ["149.1", "105.0", "102.2"]),
        ([0.0025, 0.3124, 0.2], ["0.003", "0.312", "0.200"]),
        ([0.0025, 0.4988, 0.0095], ["0.0025", "0.4988", "0.0095"]),
        ([1951.3, 149.1], ["1951.3", "149.1"]),
        ([22.83, 7.2, None, 7.4], ["22.83", "7.20", "–", "7.40"]),
        ([72, 5, 61], ["72", "5", "61"]),
        ([0.0, 0.0], ["0", "0"]),
        ([0.0, 1.5], ["0.00", "1.50"]),
        ([None], ["–"]),
        ([], []),
    ],
)
def test_a_columns_decimals_line_up(values, texts):
    assert rounding.column(values) == texts


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "–"),
        ([3], "3"),
        ([9999.9], "10,000"),
        ([0.5, 0.6, 0.7], "0.600 ± 0.100"),
        ([100.0, 102.0], "101.0 ± 1.4"),
        ([20_000, 21_000], "20,500 ± 707"),
        ([5_000, 5_100], "5050 ± 71"),
        ([1956.0, 1956.2, 1956.4], "1956.2 ± 0.2"),
        ([149.59, 148.45, 149.02], "149.0 ± 0.6"),
        ([0.6928, 0.6930, 0.6926], "0.6928 ± 0.0002"),
        ([22.05, 19.5, 24.6], "22.1 ± 2.6"),
        ([-1.0, 1.0], "0.00 ± 1.41"),
        ([0.051, -0.049], "0.0010 ± 0.0707"),
        ([2, 2], "2 ± 0"),
        ([0.125, 0.125], "0.125 ± 0.000"),
    ],
)
def test_mean_and_deviation_have_the_same_decimals(values, text):
    assert rounding.spread(values) == text


def test_a_column_of_means_shares_its_decimals_too():
    cells = [[149.0, 149.2], [104.9, 105.3], [102.2, 102.22], []]
    shared = rounding.decimals(cells)
    assert [rounding.spread(cell, shared) for cell in cells] == ["149.1 ± 0.1", "105.1 ± 0.3", "102.2 ± 0.0", "–"]


def test_infinite_values_do_not_stop_a_table():
    assert rounding.number(float("inf")) == "inf"
    assert rounding.column([float("inf"), 1.5]) == ["inf", "1.50"]


def test_a_number_by_several_classifiers_has_the_lowest_and_highest_mean_in_brackets():
    assert rounding.spread_and_span([[1.93], [1.68], [2.31]]) == "1.93 (1.68 to 2.31)"
    assert rounding.spread_and_span([[10.0, 12.0], [13.0, 15.0]], 1) == "11.0 ± 1.4 (11.0 to 14.0)"
    assert rounding.spread_and_span([[1.93]]) == rounding.spread([1.93])
    assert rounding.spread_and_span([[], []]) == "–"
