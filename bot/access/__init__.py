"""Who is answered and who may do what: policy, admission, quotas."""
