"""The page for what went wrong."""

from flask import render_template

from metaconsole.web.ui.language import N_, gettext

_TITLES = {
    400: N_("This request was not understood"),
    403: N_("You may not see this"),
    404: N_("There is nothing here"),
    410: N_("This sign-in link is no longer valid"),
    429: N_("Too many attempts"),
    500: N_("Something failed"),
    503: N_("The metaconsole is not ready"),
}
_ADVICE = {
    404: N_("It may have been removed, or it belongs to a site that you may not see."),
    410: N_("It was used already or is older than 10 minutes. Sign in with your password or make a new link."),
    500: N_("The metaconsole's log says what. Try again in a moment."),
    503: N_("Its database can't be reached. Try again in a moment."),
}


def error_page(status: int, title: str, detail: str) -> str:
    """Render an error; title and detail are the API's, used where the dashboard has no words of its own."""
    return render_template(
        "ui/error.html",
        status=status,
        title=gettext(_TITLES[status]) if status in _TITLES else title,
        detail=gettext(_ADVICE[status]) if status in _ADVICE else detail,
    )
