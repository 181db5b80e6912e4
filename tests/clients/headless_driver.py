"""Runs where mixpanel-headless is installed: jobs as JSON on standard input, their outcomes on standard output."""

import json
import sys

from mixpanel_headless import Workspace
from mixpanel_headless.exceptions import MixpanelHeadlessError


def outcome(workspace, method, arguments):
    try:
        answer = getattr(workspace, method)(**arguments)
        profiles = answer.profiles if method == "query_user" else list(answer)
    except MixpanelHeadlessError as error:
        return {"error": type(error).__name__, **error.to_dict()}
    return {"profiles": profiles, "cli": "mixpanel_headless.cli" in sys.modules}


with Workspace() as workspace:
    outcomes = [outcome(workspace, method, arguments) for method, arguments in json.load(sys.stdin)]
json.dump(outcomes, sys.stdout, default=str)
