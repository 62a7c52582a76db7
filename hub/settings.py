"""Django settings. Values that differ between machines come from ``hub.environment``; the rest is decided here."""

import os
import secrets
from pathlib import Path

from csp.constants import NONCE, NONE, SELF

from hub.environment import Environment, shared_cache

BASE_DIR = Path(__file__).resolve().parent.parent
ENVIRONMENT = Environment.read(os.environ, base=BASE_DIR)

DEBUG = ENVIRONMENT.debug
# Without a key of its own a process signs with one that nobody can guess and that ends with it;
# `manage.py serve` refuses to start like that, since its processes must agree.
SECRET_KEY = ENVIRONMENT.secret_key or secrets.token_urlsafe(48)
KEY_ENCRYPTION_KEY = ENVIRONMENT.key_encryption_key
ALLOWED_HOSTS = [*ENVIRONMENT.allowed_hosts]
PUBLIC_URL = ENVIRONMENT.public_url
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "registry.apps.RegistryConfig",
    "execution.apps.ExecutionConfig",
    "federation.apps.FederationConfig",
    "hub.apps.HubConfig",
]

MIDDLEWARE = [
    "hub.middleware.readable_addresses",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "hub.urls"
WSGI_APPLICATION = "hub.wsgi.application"
ASGI_APPLICATION = "hub.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n", "registry.web.tags"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "hub.context.hub",
            ],
        },
    },
]

DATABASES = {"default": dict(ENVIRONMENT.database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "registry.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
REGISTRATION_OPEN = ENVIRONMENT.registration_open

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = ENVIRONMENT.data_dir / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# A document may be 256 KiB and a federation page 4 MiB; what is larger is refused before it is read.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
    "EXCLUDE_URL_PREFIXES": ("/admin/",),
}
_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "registry.web.views.errors.csrf_failure"

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "hub.problems.exception_handler",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "registry.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["registry.api.json_parser.OneReadingParser"],
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OPL hub",
    "DESCRIPTION": "Versions, runs, verifies and exchanges orchestration patterns.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
}

CACHES = {
    # What each process may remember for itself.
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 5000}},
    # What all web processes count together.
    "shared": shared_cache(ENVIRONMENT.cache_url, ENVIRONMENT.data_dir),
}
METRICS_TOKEN = ENVIRONMENT.metrics_token

# Execution (page 3). Aliases of agent backends; the default is the first that can answer.
ANTHROPIC_API_KEY = ENVIRONMENT.anthropic_api_key
ANTHROPIC_BASE_URL = ENVIRONMENT.anthropic_base_url
KSI_SOCKET = ENVIRONMENT.ksi_socket
SIMULATED_PACE = ENVIRONMENT.simulated_pace
DEFAULT_BACKEND = "claude" if ANTHROPIC_API_KEY else "simulated"
WORKERS_EMBEDDED = not ENVIRONMENT.scaled
OTLP_ENDPOINT = ENVIRONMENT.otlp_endpoint

# Federation (page 5).
FEDERATION_ALLOW_LOOPBACK = ENVIRONMENT.federation_allow_loopback
# How far the feed is stands here as well as in the database, so that a restored database is noticed.
FEDERATION_MEMORY = ENVIRONMENT.data_dir

CELERY = {
    "broker_url": ENVIRONMENT.broker_url or "memory://",
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "worker_soft_shutdown_timeout": 30,
    "worker_hijack_root_logger": False,
    "task_default_queue": "advance",
    "task_routes": {
        "execution.tasks.deliver*": {"queue": "effects"},
        "execution.tasks.observe*": {"queue": "trials"},
        "federation.tasks.*": {"queue": "federation"},
    },
    # By default Redis gives a killed worker's message back after 101 seconds (measured by the
    # project's owner). Recovery comes from our reaper; this makes the broker follow soon after.
    "broker_transport_options": {
        "visibility_timeout": 900,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
    "broker_connection_retry_on_startup": True,
    "beat_schedule_filename": str(ENVIRONMENT.data_dir / "beat-schedule"),
    "beat_schedule": {
        "reap": {"task": "execution.tasks.reap", "schedule": 2.0},
        "observe-trials": {"task": "execution.tasks.observe_trials", "schedule": 2.0},
        "webhooks": {"task": "execution.tasks.webhooks", "schedule": 5.0},
        "upkeep": {"task": "execution.tasks.upkeep", "schedule": 3600.0},
        "federation": {"task": "federation.tasks.tick", "schedule": 5.0, "options": {"expires": 60}},
        "federation-revocations": {
            "task": "federation.tasks.poll_revocations",
            "schedule": 5.0,
            "options": {"expires": 60},
        },
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "hub.logs.JsonFormatter"},
        "plain": {"format": "%(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain" if DEBUG else "json"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "httpx2": {"level": "WARNING"},
        "httpcore2": {"level": "WARNING"},
        "mcp": {"level": "WARNING"},
    },
}
