"""Django settings for every process of the site; values come from the environment through `env`."""

from datetime import timedelta

from . import env

HOME = env.home()
BASE_DIR = env.BASE_DIR
VERSION = "0.1.0"

SECRET_KEY = env.secret_key(HOME)
DEBUG = env.flag("SCALEWEB_DEBUG")
ALLOWED_HOSTS = env.words("SCALEWEB_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
PUBLIC_URL = env.text("SCALEWEB_URL", "http://127.0.0.1:8000")
# Behind a proxy that ends TLS, forms come from https://… to a server that itself speaks http.
CSRF_TRUSTED_ORIGINS = [env.origin("SCALEWEB_URL", PUBLIC_URL), *env.words("SCALEWEB_TRUSTED_ORIGINS")]
BEHIND_TLS = PUBLIC_URL.startswith("https://")

# Where mail goes out, for alerts. Without a server there is none, and channels of mail are refused.
MAIL_CONFIGURED, MAIL = env.mail("SCALEWEB_MAIL_URL")
EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL
DEFAULT_FROM_EMAIL = env.text("SCALEWEB_MAIL_FROM", "scaleweb@localhost")
# Private networks that webhooks may lead into; all others of that kind are refused.
WEBHOOK_NETWORKS = env.networks("SCALEWEB_WEBHOOK_NETWORKS")
ALERT_SEND_SECONDS = 10.0

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "axes",
    "monitoring",
    "training",
    "control",
    "alerts",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "scaleweb.security.ContentSecurityPolicy",
    "django.middleware.common.CommonMiddleware",  # before static files: it checks the Host
    "scaleweb.static_files.StaticFiles",
    "scaleweb.sessions.SessionMiddleware",
    "scaleweb.languages.PagesInTheirLanguage",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "scaleweb.admin_filters.AdminFilters",
    "scaleweb.errors.AwayPages",
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "scaleweb.errors.locked_out"
AXES_HANDLER = "scaleweb.lockout.Lockout"

ROOT_URLCONF = "scaleweb.urls"
ASGI_APPLICATION = "scaleweb.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "scaleweb" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = env.databases(HOME)
DATABASE_ROUTERS = ["monitoring.storage.router.SeriesRouter"]
SERIES_DATABASE = "series" if "series" in DATABASES else "default"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_COOKIE_NAME = "scaleweb_language"
LOCALE_PATHS = [BASE_DIR / "scaleweb" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
STATICFILES_DIRS = [("app", BASE_DIR / "frontend" / "dist"), BASE_DIR / "scaleweb" / "static"]
# Served straight from the packages and frontend/dist: no collectstatic step before the first start.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_ALLOW_ALL_ORIGINS = False
# Vite names what it builds by a hash of the content: assets/index-DwR3x_0a.js.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/app/assets/.+-[\w-]{8}\.\w+$"

LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "scaleweb.errors.csrf_failure"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 2**20

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "training.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "scaleweb.api_schema.Schema",
    "DEFAULT_PAGINATION_CLASS": "monitoring.api.pages.KeySetPages",
    "DEFAULT_FILTER_BACKENDS": ["monitoring.api.filters.KnownFilters"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["monitoring.api.plain_json.StrictJSONParser"],
    "EXCEPTION_HANDLER": "scaleweb.errors.api_exception_handler",
    "PAGE_SIZE": 100,
    "UNICODE_JSON": True,
    # NaN in a request body is refused where it is parsed; responses write non-finite values as strings.
    "STRICT_JSON": True,
    # `format` is a parameter of the export's own.
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ScaleWeb",
    "DESCRIPTION": "Record, watch and steer training runs.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "RunState": "training.models.Run.STATES",
        "JobState": "training.models.JobState",
        "JobGroupKind": "training.models.JobGroup.Kind",
        "AttemptState": "training.models.Attempt.State",
        "CommandState": "training.models.CommandState",
        "DecisionState": "control.models.DecisionState",
        "NodeState": "monitoring.models.Node.State",
        "DeviceKind": "monitoring.models.Device.Kind",
        "TunableKind": "training.models.Tunable.Kind",
        "MediaKind": "training.models.MediaKind",
        "Role": "training.models.Role",
        "ControllerMode": "control.models.Mode",
        "DecisionMode": "control.models.DecisionMode",
        "Learning": "control.models.Learning",
        "ChannelKind": "alerts.models.Channel.Kind",
        "Severity": "alerts.models.Severity",
        "DeliveryState": "alerts.models.Delivery.State",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
}

# Unset under the embedded default: `scaleweb.stack` starts a broker on a private socket and sets it.
REDIS_URL = env.text("REDIS_URL", f"unix://{HOME / 'run' / 'broker.sock'}")
# Where other hosts reach the database and the broker: a node that joins is given these.
NODE_DATABASE_URL = env.text("SCALEWEB_NODE_DATABASE_URL", env.text("DATABASE_URL"))
NODE_REDIS_URL = env.text("SCALEWEB_NODE_REDIS_URL", env.text("REDIS_URL"))
CELERY_BROKER_URL = env.celery_broker(REDIS_URL)
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "control"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_keepalive": not REDIS_URL.startswith("unix"),
    # Sending is tried once: whoever sends goes on without the broker, and a tick finds the work.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 120
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    # `expires` keeps a tick that waited behind an outage from running many times at once.
    "place": {"task": "training.place", "schedule": 2.0, "options": {"expires": 4}},
    "expect": {"task": "training.expect", "schedule": 20.0, "options": {"expires": 20}},
    "reap": {"task": "training.reap", "schedule": 2.0, "options": {"expires": 4}},
    # All runs every five seconds, those that set out at each: control/tasks.py.
    "control": {"task": "control.tick", "schedule": 1.0, "options": {"expires": 5}},
    "starts": {"task": "control.starts", "schedule": 1.0, "options": {"expires": 1}},
    "resources": {"task": "control.resources", "schedule": 60.0, "options": {"expires": 60}},
    "compact": {"task": "monitoring.compact", "schedule": 10.0, "options": {"expires": 10}},
    "age_series": {"task": "monitoring.age_series", "schedule": 600.0, "options": {"expires": 600}},
    "media": {"task": "training.media", "schedule": 3600.0, "options": {"expires": 3600}},
    "copies": {"task": "training.copies", "schedule": 3600.0, "options": {"expires": 3600}},
    "usage": {"task": "training.usage", "schedule": 30.0, "options": {"expires": 30}},
    "nodes": {"task": "monitoring.node_states", "schedule": 5.0, "options": {"expires": 5}},
    "alerts": {"task": "alerts.tick", "schedule": 15.0, "options": {"expires": 15}},
    "deliver_alerts": {"task": "alerts.deliver", "schedule": 5.0, "options": {"expires": 5}},
    "forget_alerts": {"task": "alerts.forget", "schedule": 86_400.0, "options": {"expires": 3600}},
}

LEASE_SECONDS = env.number("SCALEWEB_LEASE_SECONDS", 10, 2, 3600)
# A run or node not heard of for this long is shown as silent; for LOST_SECONDS, as lost.
SILENT_SECONDS = env.number("SCALEWEB_SILENT_SECONDS", 10, 2, 3600)
LOST_SECONDS = env.number("SCALEWEB_LOST_SECONDS", 60, 5, 86_400)
# Days for which the points of a kind of source are kept before only their roll-ups are; 0: for ever.
KEEP_FINE_DAYS = {
    "run": env.number("SCALEWEB_KEEP_RUN_DAYS", 0, 0, 36_500),
    "node": env.number("SCALEWEB_KEEP_NODE_DAYS", 14, 0, 36_500),
}
# How placement chooses among nodes: the fullest that fits, or the emptiest.
PLACEMENT = env.choice("SCALEWEB_PLACEMENT", "pack", ("pack", "spread"))
# A waiting job counts as one class of priority higher after so long; 0: never.
AGEING_HOURS = env.number("SCALEWEB_AGEING_HOURS", 10, 0, 8760)
# How long a job has run at least before it is asked to leave for another; 0: nobody ever is.
PREEMPT_AFTER_SECONDS = env.number("SCALEWEB_PREEMPT_AFTER_SECONDS", 300, 0, 86_400)
# Time to save a checkpoint and leave before the processes are ended.
PREEMPT_GRACE_SECONDS = env.number("SCALEWEB_PREEMPT_GRACE_SECONDS", 60, 1, 3600)
# A free device that is so hot gets nothing new.
HOT_CELSIUS = env.number("SCALEWEB_HOT_CELSIUS", 85, 30, 150)
STOP_GRACE_SECONDS = env.number("SCALEWEB_STOP_GRACE_SECONDS", 15, 1, 3600)
# What a device hour costs, by part of the device's name (h100=3.2) or by kind (gpu=2, cpu=0.04).
DEVICE_RATES = env.rates("SCALEWEB_DEVICE_RATES")
CURRENCY = env.text("SCALEWEB_CURRENCY", "EUR")[:10]
BELIEF_HALF_LIFE_DAYS = env.number("SCALEWEB_BELIEF_HALF_LIFE_DAYS", 180, 0, 36_500)  # 0: they do not age
CPU_SLOTS = int(env.number("SCALEWEB_CPU_SLOTS", 0, 0, 1024))  # 0: one slot a core
# Where the other nodes of a training reach this one.
NODE_ADDRESS = env.text("SCALEWEB_NODE_ADDRESS")
# Whether a node's worker that ends in order takes what it runs along, to be queued again.
STOP_JOBS = env.flag("SCALEWEB_STOP_JOBS")
MEDIA_DIR = HOME / "media"
# The most a file that a run logs may have, and all files of a run together.
MEDIA_FILE_BYTES = int(env.number("SCALEWEB_MEDIA_FILE_MIB", 64, 1, 4096) * 2**20)
MEDIA_RUN_BYTES = int(env.number("SCALEWEB_MEDIA_RUN_GIB", 10, 0.001, 100_000) * 2**30)
KEEP_MEDIA_DAYS = env.number("SCALEWEB_KEEP_MEDIA_DAYS", 0, 0, 36_500)  # 0: as long as the run
COPY_DIR = HOME / "copies"
# The most a working copy may have packed and unpacked, and all of a project's together.
COPY_BYTES = int(env.number("SCALEWEB_COPY_MIB", 256, 1, 100_000) * 2**20)
COPY_UNPACKED_BYTES = 8 * COPY_BYTES
# How long, and how much of, what attempts that are over left in their folders stays on a node; 0: for ever, any amount.
WORK_DAYS = env.number("SCALEWEB_WORK_DAYS", 14, 0, 36_500)
WORK_BYTES = int(env.number("SCALEWEB_WORK_GIB", 50, 0, 1_000_000) * 2**30)
COPIES_BYTES = int(env.number("SCALEWEB_COPIES_GIB", 10, 0.001, 100_000) * 2**30)
CHECKPOINT_DIR = HOME / "checkpoints"
ATTEMPT_DIR = HOME / "attempts"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("SCALEWEB_LOG_LEVEL", "INFO").upper()},
}
