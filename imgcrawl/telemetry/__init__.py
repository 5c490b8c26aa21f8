"""What a crawl says of itself to machines: metrics, traces, a log of JSON lines. Only what a setting asks for is
loaded."""

from __future__ import annotations

from importlib.util import find_spec

from scrapy.settings import BaseSettings

from imgcrawl.exceptions import InputError


class Addon:
    """Switches on what METRICS_PORT, TRACES_ENDPOINT and LOG_JSON ask for.

    METRICS_PORT needs prometheus-client, TRACES_ENDPOINT the OpenTelemetry SDK with its OTLP exporter. Raises
    `InputError` without them.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        if settings.getbool("LOG_JSON", False):
            from imgcrawl.telemetry.jsonlines import install_json_lines  # noqa: PLC0415 -- only where it is set

            install_json_lines()
        if settings.get("METRICS_PORT") not in (None, ""):
            if find_spec("prometheus_client") is None:
                raise InputError("METRICS_PORT needs the library prometheus-client; install it with imgcrawl[metrics]")
            from imgcrawl.telemetry.server import MetricsServer  # noqa: PLC0415 -- only where it is set

            settings.setdefault_in_component_priority_dict("EXTENSIONS", MetricsServer, 0)
        if settings.get("TRACES_ENDPOINT", ""):
            if not _has_opentelemetry():
                raise InputError("TRACES_ENDPOINT needs the library opentelemetry; install it with imgcrawl[traces]")
            from imgcrawl.telemetry.install import install_traces  # noqa: PLC0415 -- only where it is set

            install_traces(settings)


def _has_opentelemetry() -> bool:
    try:
        return (
            find_spec("opentelemetry.sdk") is not None
            and find_spec("opentelemetry.exporter.otlp.proto.http") is not None
        )
    except ModuleNotFoundError:
        return False
