"""How the app looks, as options of Streamlit: one accent, light and dark by the system, no web fonts."""

_LIGHT = {
    "primaryColor": "#1f5fa8",
    "backgroundColor": "#ffffff",
    "secondaryBackgroundColor": "#f4f6f9",
    "textColor": "#1b1f24",
    "borderColor": "#dfe3e9",
}
_DARK = {
    "primaryColor": "#62b0e0",
    "backgroundColor": "#14161a",
    "secondaryBackgroundColor": "#1d2026",
    "textColor": "#e6e9ee",
    "borderColor": "#363c46",
}

THEME: dict[str, str] = {
    **{f"theme.light.{key}": value for key, value in _LIGHT.items()},
    **{f"theme.dark.{key}": value for key, value in _DARK.items()},
    "theme.font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
    "theme.codeFont": "ui-monospace, 'SF Mono', Menlo, 'DejaVu Sans Mono', monospace",
    "theme.baseRadius": "0.4rem",
}
