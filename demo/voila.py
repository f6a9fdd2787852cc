"""Settings of `make demo`: who may come in, how many at once, and for how long. Voilà looks for a file of this name."""

from tornado.web import HTTPError

c = get_config()  # noqa: F821 (given by traitlets)

MOST_VISITORS = 24  # each has a kernel of its own, of about 0.5 GB
# nothing from elsewhere: Voilà's own page would ask a server for fonts
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"


def refuse_too_many(request, notebook, cwd):
    """Refuse a further visitor before memory runs out."""
    if len(request.kernel_manager.list_kernel_ids()) >= MOST_VISITORS:
        raise HTTPError(503, reason="all places are taken; come back in a few minutes")


c.Voila.ip = "127.0.0.1"  # this computer only
c.Voila.port_retries = 0
c.Voila.tornado_settings = {
    "headers": {"Content-Security-Policy": POLICY},
    "websocket_max_message_size": 10 * 2**20,  # bytes; what is larger ends the connection
}
c.VoilaConfiguration.prelaunch_hook = refuse_too_many
c.VoilaConfiguration.file_allowlist = []  # serve no file except the notebook
c.VoilaConfiguration.extension_allowlist = [  # not whatever else is installed for JupyterLab
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
]
c.VoilaConfiguration.show_tracebacks = False
c.MappingKernelManager.cull_interval = 30  # seconds
c.MappingKernelManager.cull_idle_timeout = 600  # seconds; a kernel goes with its page, and at the latest then
c.MappingKernelManager.cull_connected = True
