"""What happens to a request inside the server."""

from docs.figures.svg import MARGIN, WIDTH, Figure


def draw() -> Figure:
    """Guards, pictures, the model's thread; what `--workers` multiplies stands in one frame."""
    figure = Figure(
        476,
        "Inside lion serve",
        "Requests of clients and of the page pass guards: keys, rate, sizes, deadline. Their pictures are decoded and "
        "shrunk in processes of their own. One thread owns the model: it takes requests in between two tokens, and "
        "answers leave as they are done.",
    )
    full, half = WIDTH - 2 * MARGIN, (WIDTH - 2 * MARGIN - 24) / 2
    left, right = MARGIN, MARGIN + half + 24
    figure.box(left, 24, half, 60, "plain", "clients", "OpenAI's, curl, tools")
    figure.box(right, 24, half, 60, "plain", "the page", "in a browser")
    for x in (left + half / 2, right + half / 2):
        figure.arrow((x, 84), (x, 132))
    figure.rectangle(left - 10, 118, full + 20, 306, "plain")
    figure.box(left, 132, full, 60, "plain", "guards", "key, rate, size, hosts, deadline")
    figure.arrow((left + half / 2, 192), (left + half / 2, 236))
    figure.text(left + half / 2 + 10, 220, "pictures", "soft")
    figure.box(left, 236, half, 84, "plain", "picture processes", "decode, turn upright,", "shrink; large ones apart")
    figure.arrow((right + half / 2, 192), (right + half / 2, 236))
    figure.text(right + half / 2 + 10, 220, "texts", "soft")
    figure.arrow((left + half, 278), (right, 278))
    figure.box(right, 236, half, 84, "both", "one thread, one model", "new requests join", "between two tokens")
    figure.arrow((right + half / 2, 320), (right + half / 2, 360))
    figure.box(left, 360, full, 50, "plain", "answers, each when it is done")
    figure.text(WIDTH / 2, 452, "in the frame: a worker; --workers N starts N of them", "soft", anchor="middle")
    return figure
