"""The registry of public series, by name. Their numbers are not bundled: only where they are and what they must be.

Sums are those of the tables in the layout that `columns` describes. The addresses name a commit, so that what is there does
not change.
"""

from __future__ import annotations

import difflib
from datetime import date

from mesocosm_data.public_series import Series
from mesocosm_data.upstream import Long, Wide

RAW = "https://raw.githubusercontent.com"
JHU = f"{RAW}/RushiChinagounolla/covid19-global-health-analysis-python/4f717d569674/time_series_covid19"
OXCGRT = f"{RAW}/OxCGRT/covid-policy-dataset/e7f66ee39654/data/timeseries_indices/OxCGRT_timeseries"
MINISTRY = f"{RAW}/Sekine53629/hokkaido-influenza-prediction/52111dbdc8c8/data"
TOYO = f"{RAW}/kaz-ogiwara/covid19/355fc4f67a88/data"
VACCINATION = f"{RAW}/ktsh-tanaka/japan-covid-datasience/674d2d81a80d117dc56dda4a8d7b0d956d056a71/summary_by_date.csv"

MINISTRY_DATES = "%Y/%m/%d"
CARE = {
    "(ALL) Requiring inpatient care": "active_care",
    "(ALL) Discharged from hospital or released from treatment": "discharged_cum",
    "(ALL) To be confirmed": "to_be_confirmed",
}
TOYO_FILES = {
    "new_positive": "pcr_positive_daily",
    "tested": "pcr_tested_daily",
    "active_care": "cases_total",
    "discharged_cum": "recovery_total",
    "deaths_cum": "death_total",
    "severe": "severe_daily",
    "r_eff": "effective_reproduction_number",
}
INDICES = {
    "stringency": "StringencyIndex",
    "containment_health": "ContainmentHealthIndex",
    "government_response": "GovernmentResponseIndex",
    "economic_support": "EconomicSupportIndex",
}
OUTBREAKS = "outbreaks, an R package (reconverse/outbreaks on GitHub)"
SURVEILLANCE = "surveillance, an R package (CRAN)"


def _jhu(column: str, name: str) -> Wide:
    places = {"Japan": "JPN", "Germany": "DEU", "Italy": "ITA"}
    return Wide(
        f"{JHU}_{name}_global.csv",
        "%m/%d/%y",
        place_column="Country/Region",
        places=places,
        column=column,
        first_date=4,
    )


def _index(column: str, name: str) -> Wide:
    return Wide(
        f"{OXCGRT}_{name}_v1.csv",
        "%d%b%Y",
        until=date(2022, 12, 31),
        place_column="CountryCode",
        places={place: place for place in ("DEU", "ITA", "JPN")},
        column=column,
        first_date=7,
        only={"Jurisdiction": "NAT_TOTAL"},
    )


def _ministry(name: str, columns: dict[str, str], until: date = date(2023, 5, 8)) -> Long:
    return Long(f"{MINISTRY}/{name}.csv", MINISTRY_DATES, until=until, date_column="Date", columns=columns)


SERIES = (
    Series(
        name="japan-covid-cases",
        title="COVID-19 in Japan, ministry counts, 2020-01-16 to 2023-05-08, daily",
        credit="Ministry of Health, Labour and Welfare, Japan, open data",
        licence="government standard terms of use; the copy that is downloaded states none",
        file="covid/japan_mhlw_daily.csv",
        sha256="6f74492044655d37a22b0341c760ae46ab969f9c7fea55f5b26ff1c3f6d1de81",
        columns={
            "date": "day",
            "new_confirmed": "new cases, persons per day",
            "deaths_cum": "deaths so far, persons",
            "active_care": "requiring care, persons",
            "discharged_cum": "discharged so far, persons; falls on weekends, where prefectures are blank",
            "to_be_confirmed": "persons",
            "severe": "severe cases now, persons",
        },
        parts=(
            _ministry("newly_confirmed_cases_daily", {"ALL": "new_confirmed"}),
            _ministry("deaths_cumulative_daily", {"ALL": "deaths_cum"}),
            _ministry("requiring_inpatient_care_etc_daily", CARE, date(2023, 5, 7)),
            _ministry("severe_cases_daily", {"ALL": "severe"}),
        ),
    ),
    Series(
        name="japan-covid-first-year",
        title="COVID-19 in Japan, cases, tests, care and recoveries, 2020-01-16 to 2021-01-30, daily",
        credit="Toyo Keizai Online, K. Ogiwara, from releases of the ministry",
        licence="MIT",
        file="covid/japan_toyokeizai_daily.csv",
        sha256="9c1cf6e2b5487a274b89f41423a059760317ce9e3086ca837366334397141322",
        columns={
            "date": "day",
            "new_positive": "persons per day",
            "tested": "persons per day",
            "active_care": "persons",
            "discharged_cum": "persons so far",
            "deaths_cum": "persons so far",
            "severe": "persons",
            "r_eff": "effective reproduction number, a simple ratio",
        },
        parts=tuple(
            Long(f"{TOYO}/{name}.csv", MINISTRY_DATES, date_column="日付", columns={"": column})
            for column, name in TOYO_FILES.items()
        ),
        decimals=("r_eff",),
    ),
    Series(
        name="japan-vaccination",
        title="COVID-19 vaccination in Japan, 2021-04-12 to 2021-08-14, daily",
        credit="Government of Japan, vaccination record system",
        licence="none stated",
        file="covid/japan_vaccination_vrs_daily.csv",
        sha256="0deef7e44fe83a79fc4c08a6439d83d695141a845165007a2eb5eab609c3d29e",
        columns={"date": "day", "first_dose_new": "doses per day", "second_dose_new": "doses per day"},
        parts=(
            Long(
                VACCINATION,
                "%Y-%m-%d",
                date_column="date",
                columns={
                    "count_first_or_mid_general": "first_dose_new",
                    "count_second_or_full_general": "second_dose_new",
                },
            ),
        ),
    ),
    Series(
        name="covid-policy",
        title="Policy indices of Japan, Germany and Italy, 2020 to 2022, daily",
        credit="Oxford COVID-19 Government Response Tracker (Hale et al. 2021)",
        licence="CC BY 4.0",
        file="covid/oxcgrt_daily.csv",
        sha256="3fdbde38346f99150bdbc1800407cca46945a99560ab12ec6b1b2f1b5e5cca9c",
        columns={
            "date": "day",
            "iso3": "DEU, ITA or JPN",
            **dict.fromkeys(INDICES, "index from 0 to 100"),
        },
        parts=tuple(_index(column, name) for column, name in INDICES.items()),
        places=("DEU", "ITA", "JPN"),
        decimals=tuple(INDICES),
    ),
    Series(
        name="covid-cases",
        title="COVID-19 in Japan, Germany and Italy, 2020-01-22 to 2023-03-09, daily",
        credit="Johns Hopkins CSSE (Dong, Du, Gardner 2020)",
        licence="CC BY 4.0",
        file="covid/jhu_daily.csv",
        sha256="fac836b1aef47c56399cea90e6c3fbd3258d30c08489af0570be70702407d3ef",
        columns={
            "date": "day",
            "iso3": "JPN, DEU or ITA",
            "confirmed_cum": "persons so far; corrected downwards at times",
            "deaths_cum": "persons so far",
            "recovered_cum": "persons so far; ends on 2021-08-04",
        },
        parts=(_jhu("confirmed_cum", "confirmed"), _jhu("deaths_cum", "deaths"), _jhu("recovered_cum", "recovered")),
        places=("JPN", "DEU", "ITA"),
    ),
    Series(
        name="boarding-school-influenza",
        title="Influenza in an English boarding school of 763 boys, 1978-01-22 to 1978-02-04, daily",
        credit="British Medical Journal 1978;1:587, digitised in the R package outbreaks",
        licence="MIT",
        file="outbreaks/boarding_school_flu_1978.csv",
        sha256="ce1e83217499aa53a083759f0770b349e015eca192c17e78827f19d52fa6e380",
        columns={"date": "day", "in_bed": "boys in bed", "convalescent": "boys"},
        elsewhere=OUTBREAKS,
    ),
    Series(
        name="hagelloch-measles",
        title="Measles among 188 children of Hagelloch, 1861-10-30 to 1862-01-24, daily",
        credit="Pfeilsticker 1863, Oesterle 1992, in the R package outbreaks",
        licence="MIT",
        file="outbreaks/hagelloch_measles_1861_daily.csv",
        sha256="c5e48a0c9598fbdf6a50a4d9935a5da39df9c0926e781276b78bd863139714de",
        columns={"date": "day", "new_prodromes": "children who fall ill, per day"},
        elsewhere=OUTBREAKS,
    ),
    Series(
        name="kikwit-ebola",
        title="Ebola in Kikwit, 1995, daily",
        credit="Khan et al. 1999, in the R package outbreaks",
        licence="MIT",
        file="outbreaks/ebola_kikwit_1995_daily.csv",
        sha256="47520377d7f4b6a37a0d9a56b940416bc2daa8e53cbd32737632380f4ac00a58",
        columns={"date": "day", "onset": "persons", "deaths": "persons", "reporting": "1 if reported daily"},
        elsewhere=OUTBREAKS,
    ),
    Series(
        name="sierra-leone-ebola",
        title="Ebola in Sierra Leone, 2014 and 2015, weekly",
        credit="Fang et al. 2016, in the R package outbreaks",
        licence="MIT",
        file="outbreaks/ebola_sierra_leone_2014_weekly.csv",
        sha256="095f71b54e62a2493a41df1edd5b1869292eaf5bfddece01bb1e38639b1fb960",
        columns={"week_start": "Monday", "confirmed": "cases by onset", "suspected": "cases by onset"},
        elsewhere=OUTBREAKS,
    ),
    Series(
        name="germany-influenza",
        title="Notified influenza in Germany, 2001 to 2006, weekly",
        credit="Robert Koch-Institut, SurvStat, in the R package surveillance",
        licence="GPL-2",
        file="outbreaks/influenza_germany_2001_2006_weekly.csv",
        sha256="9eaf27945b96b502d52034208ca1031c7c5b9e60a463148eb4d0e00298be0b2f",
        columns={"year": "", "week": "1 to 52", "influenza": "cases per week", "meningococcal": "cases per week"},
        elsewhere=SURVEILLANCE,
    ),
    Series(
        name="london-measles",
        title="Measles in London, 1944 to 1964, every two weeks",
        credit="the R package tsiR (Becker, Grenfell 2017)",
        licence="GPL-3",
        file="outbreaks/measles_london_biweekly.csv",
        sha256="c766047f8ea52b66f52e17aa330cde331455d2214e716d6c425f56526eb63eb7",
        columns={"time": "year", "cases": "reported cases", "births": "births", "pop": "persons"},
        elsewhere="tsiR, an R package (adbecker/tsiR on GitHub)",
    ),
    Series(
        name="el-farol-attendance",
        title="People in the El Farol bar: 51 groups of 2 to 12, 50 or 90 rounds",
        credit="Andrade-Lotero and Goldstone, Collective Intelligence, 2024",
        licence="none stated",
        file="behaviour/el_farol_human_attendance.csv",
        sha256="1fe03ebc60f18ec18cdc90e4c65f3ed73b315350ef0301afd67e3360ba6d4861",
        columns={
            "session": "group",
            "round": "from 1",
            "num_players": "people in the group",
            "capacity": "people who fit",
            "attendance": "people who went",
        },
        elsewhere="EAndrade-Lotero/Cognitive_Models_El_Farol_Bar_Problem on GitHub; decisions are counted by group and round",
    ),
)


def series_named(name: str) -> Series:
    """The series of a name; `ValueError` with the nearest name where there is none."""
    known = {series.name: series for series in SERIES}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(known)}"
        raise ValueError(f"no public series is called '{name}'; {hint}")
    return known[name]
