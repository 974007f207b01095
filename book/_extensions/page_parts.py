"""Small changes to every page: each script once, none of a kernel service that the book does not use,
figures with a link to themselves."""

from bs4 import BeautifulSoup


def is_thebe(script) -> bool:
    """Scripts of sphinx-thebe, which Jupyter Book always adds and Sphinx repeats."""
    return "thebe" in str(script.filename) or "thebe" in (getattr(script, "attributes", {}).get("body") or "")


def finish(body: str) -> str:
    """Add to the caption of each vector figure a link to its file; roles that WAI-ARIA 1.2 allows."""
    soup = BeautifulSoup(body, "html.parser")
    for figure in soup.select("figure:has(img[src$='.svg'])"):
        caption, image = figure.select_one("figcaption .caption-text"), figure.select_one("img")
        if caption:
            link = soup.new_tag("a", href=image["src"], download="", attrs={"class": "figure-file"})
            link.string = "SVG"
            caption.append(" ")
            caption.append(link)
    for entry in soup.select("[role='doc-biblioentry']"):
        entry["role"] = "listitem"  # the other role is deprecated, and not allowed in a list
    return str(soup)


def change(app, pagename, templatename, context, doctree):
    scripts = {str(s.filename or s.attributes): s for s in context.get("script_files", [])}
    context["script_files"] = [s for s in scripts.values() if not is_thebe(s)]
    if doctree is not None and "body" in context:
        context["body"] = finish(context["body"])


def setup(app):
    app.connect("html-page-context", change, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
