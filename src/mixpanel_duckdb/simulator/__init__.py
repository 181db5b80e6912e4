"""A stand-in for Mixpanel's Engage Query API on 127.0.0.1."""
