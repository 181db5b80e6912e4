"""Runs where mixpanel-utils is installed: jobs as JSON on standard input, their outcomes on standard output."""

import json
import os
import sys

from mixpanel_utils import MixpanelUtils


def client():
    """Only the host is another one, since the constructor knows three and no more; paging and retries are its own."""
    name = os.environ.get("MP_USERNAME")
    account = {"service_account_username": name, "project_id": int(os.environ["MP_PROJECT_ID"])} if name else {}
    made = MixpanelUtils(os.environ["MP_SECRET"], **account)
    made.formatted_api = os.environ["MP_API_BASE_URL"] + "/api"
    made.raw_api = os.environ["MP_API_BASE_URL"] + "/api"
    return made


def outcome(method, arguments):
    try:
        return {"profiles": getattr(client(), method)(arguments)}
    except Exception as error:
        return {"error": str(error), "kind": type(error).__name__}


json.dump([outcome(method, arguments) for method, arguments in json.load(sys.stdin)], sys.stdout)
