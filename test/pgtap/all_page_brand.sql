-- The page once more, for a service that has other names for everything
\set service '{"development_domain": "dev.acme-id.com", "service_domains": ["acme-id.com", "acme-id.net"], "frontend_api_label": "id", "frontend_api_target": "edge.acme-id.net", "portal_label": "my", "portal_target": "portal.acme-id.net", "mail_records": {"acmemail": "mx.acme-id.net", "acme._domainkey": "{instance}.dkim.acme-id.net"}, "test_email_marker": "+acme_test", "publishable_key_prefixes": {"development": "acme_pub_test_", "production": "acme_pub_live_"}, "secret_key_prefixes": {"development": "acme_secret_test_", "production": "acme_secret_live_"}, "legacy_key_prefixes": null}'
\set development_domain dev.acme-id.com
\set frontend_api id
\set frontend_api_target edge.acme-id.net
\set portal my
\set key_prefix acme_pub_
\set secret_prefix acme_secret_
\set marker +acme_test
\set service_domain acme-id.net
\ir all_page.sql
