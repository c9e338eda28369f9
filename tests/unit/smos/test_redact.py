"""Secrets are cut out of everything that is shown or kept."""

from smos.redact import Redactor

ENVIRONMENT = {
    "CLOUDFLARE_API_TOKEN": "cf-very-secret",
    "ODOO_API_KEY": "odoo-secret-1",
    "HOME": "/root",
    "PIN_TOKEN": "12",
}


def test_values_of_secret_variables_disappear_from_texts() -> None:
    redactor = Redactor(ENVIRONMENT)
    assert redactor.text("refused: cf-very-secret and odoo-secret-1") == "refused: *** and ***"


def test_short_values_and_paths_are_left_alone() -> None:
    assert (
        Redactor({**ENVIRONMENT, "TOKEN_FILE": "/run/secrets/x"}).text("12 in /run/secrets/x") == "12 in /run/secrets/x"
    )


def test_data_is_cleaned_by_value_and_by_key() -> None:
    cleaned = Redactor(ENVIRONMENT).data({"why": ["cf-very-secret"], "password": "anything", "count": 3})
    assert cleaned == {"why": ["***"], "password": "***", "count": 3}


def test_arguments_hide_assignments_whose_name_says_so() -> None:
    assert Redactor({}).arguments(["-e", "n8n_api_key=abc", "-e", "plan=free"]) == [
        "-e",
        "n8n_api_key=***",
        "-e",
        "plan=free",
    ]


def test_a_secret_within_a_longer_secret_leaves_nothing_behind() -> None:
    redactor = Redactor({"A_TOKEN": "abcdef", "B_TOKEN": "abcdef-and-more"})
    assert redactor.text("abcdef-and-more") == "***"


def test_a_secret_is_found_without_the_white_space_and_quotes_that_were_copied_with_it() -> None:
    redactor = Redactor({"A_TOKEN": " 'abc-defg-1'\n"})
    assert redactor.text("refused: abc-defg-1") == "refused: ***"


def test_a_password_in_an_address_is_a_secret_whatever_the_name_of_the_variable() -> None:
    redactor = Redactor({"DATABASE_URL": "postgresql://smos:pass%2Fword@db.example.com/x"})
    assert redactor.text("pass%2Fword, pass/word at db.example.com") == "***, *** at db.example.com"
