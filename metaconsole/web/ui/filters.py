"""What templates can write: formats, words and looks under short names."""

from flask import Flask

from metaconsole.web.ui import formats, states, words


def install(app: Flask) -> None:
    """Add the filters and functions of the dashboard to the templates."""
    app.jinja_env.filters.update(
        age=formats.age,
        bytes=formats.size,
        count=formats.count,
        duration=formats.duration,
        milliseconds=formats.milliseconds,
        kind=words.kind,
        claim=words.claim,
    )
    app.jinja_env.globals.update(
        look=states.look, look_name=states.look_name, fact=formats.fact, fact_word=words.fact, relation=words.relation
    )
