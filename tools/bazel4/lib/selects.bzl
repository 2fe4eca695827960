"""In the place of bazel_skylib: the one function of it that Abseil calls."""

def _config_setting_group(name, match_any, visibility = None):
    """Is an alias of the first of `match_any` that holds; of one that does not hold, if none does."""
    settings = {setting: setting for setting in match_any}
    settings["//conditions:default"] = match_any[0]
    native.alias(name = name, actual = select(settings), visibility = visibility)

selects = struct(config_setting_group = _config_setting_group)
