"""What schemathesis makes of our OpenAPI: no body, however odd, is more than the client's mistake."""

import pytest

from tests.serve.conftest import client_of

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")


@pytest.mark.slow
def test_bodies_made_of_the_schema(pipeline):
    from hypothesis import HealthCheck, given, settings

    with client_of(pipeline, requests=10_000) as client:
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        statuses = set()
        for result in schema.get_all_operations():
            operation = result.ok()

            @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy())
            def run(case):
                body = case.body if isinstance(case.body, (dict, list, str, int, float, bool, type(None))) else None
                path = case.formatted_path if hasattr(case, "formatted_path") else case.path
                multipart = case.media_type == "multipart/form-data"
                options = {"data": _texts(body)} if multipart else {"json": body}
                response = client.run(client.http.request(case.method, path, **options))
                statuses.add(response.status_code)
                assert response.status_code < 500, (case.path, body, response.text)
                assert response.status_code < 400 or response.json()["error"]["message"]

            run()
        assert 200 in statuses and 400 in statuses


def _texts(body):
    return {str(name): str(value) for name, value in body.items()} if isinstance(body, dict) else {}
